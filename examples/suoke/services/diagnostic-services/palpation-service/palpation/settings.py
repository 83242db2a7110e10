"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8018"))
XIAOAI_SERVICE_URL = os.environ.get("XIAOAI_SERVICE_URL", "http://xiaoai-service:8010")
