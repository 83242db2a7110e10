"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8014"))
AUTH_SERVICE_URL = os.environ.get("AUTH_SERVICE_URL", "http://auth-service:8001")
