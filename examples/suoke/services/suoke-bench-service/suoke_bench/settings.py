"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8015"))
API_GATEWAY_URL = os.environ.get("API_GATEWAY_URL", "http://api-gateway:8080")
