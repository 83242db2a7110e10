"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8006"))
INQUIRY_SERVICE_URL = os.environ.get("INQUIRY_SERVICE_URL", "http://inquiry-service:8017")
LISTEN_SERVICE_URL = os.environ.get("LISTEN_SERVICE_URL", "http://listen-service:8016")
LOOK_SERVICE_URL = os.environ.get("LOOK_SERVICE_URL", "http://look-service:8019")
PALPATION_SERVICE_URL = os.environ.get("PALPATION_SERVICE_URL", "http://palpation-service:8018")
