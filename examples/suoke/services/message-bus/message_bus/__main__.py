"""``python -m message_bus``"""

from waitress import serve

from message_bus.app import create_app
from message_bus.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
