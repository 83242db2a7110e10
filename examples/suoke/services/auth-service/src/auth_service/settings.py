"""Where this service listens."""

import os

PORT = int(os.environ.get("PORT", "8001"))
