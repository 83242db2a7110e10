"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8017"))
MED_KNOWLEDGE_URL = os.environ.get("MED_KNOWLEDGE_URL", "http://med-knowledge:8005")
XIAOAI_SERVICE_URL = os.environ.get("XIAOAI_SERVICE_URL", "http://xiaoai-service:8010")
