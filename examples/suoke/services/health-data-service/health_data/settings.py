"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8004"))
USER_SERVICE_URL = os.environ.get("USER_SERVICE_URL", "http://user-service:8003")
BLOCKCHAIN_SERVICE_URL = os.environ.get("BLOCKCHAIN_SERVICE_URL", "http://blockchain-service:8013")
