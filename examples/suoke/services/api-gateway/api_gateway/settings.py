"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8080"))
AUTH_SERVICE_URL = os.environ.get("AUTH_SERVICE_URL", "http://auth-service:8001")
USER_SERVICE_URL = os.environ.get("USER_SERVICE_URL", "http://user-service:8003")
ACCESSIBILITY_SERVICE_URL = os.environ.get("ACCESSIBILITY_SERVICE_URL", "http://accessibility-service:8012")
XIAOAI_SERVICE_URL = os.environ.get("XIAOAI_SERVICE_URL", "http://xiaoai-service:8010")
XIAOKE_SERVICE_URL = os.environ.get("XIAOKE_SERVICE_URL", "http://xiaoke-service:8011")
LAOKE_SERVICE_URL = os.environ.get("LAOKE_SERVICE_URL", "http://laoke-service:8008")
SOER_SERVICE_URL = os.environ.get("SOER_SERVICE_URL", "http://soer-service:8009")
RAG_SERVICE_URL = os.environ.get("RAG_SERVICE_URL", "http://rag-service:8007")
