"""Where this service listens, and where the services are that it calls."""

import os

PORT = int(os.environ.get("PORT", "8008"))
MED_KNOWLEDGE_URL = os.environ.get("MED_KNOWLEDGE_URL", "http://med-knowledge:8005")
RAG_SERVICE_URL = os.environ.get("RAG_SERVICE_URL", "http://rag-service:8007")
