"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8009"))
ACCESSIBILITY_SERVICE_URL = os.environ.get("ACCESSIBILITY_SERVICE_URL", "http://accessibility-service:8012")
