"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8003"))
AUTH_SERVICE_URL = os.environ.get("AUTH_SERVICE_URL", "http://auth-service:8001")
API_GATEWAY_URL = os.environ.get("API_GATEWAY_URL", "http://api-gateway:8080")
