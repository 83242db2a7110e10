"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8012"))
USER_SERVICE_URL = os.environ.get("USER_SERVICE_URL", "http://user-service:8003")
