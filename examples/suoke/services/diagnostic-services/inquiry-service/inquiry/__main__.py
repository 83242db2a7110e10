"""``python -m inquiry``"""

from waitress import serve

from inquiry.app import create_app
from inquiry.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
