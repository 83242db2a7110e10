"""``python -m listen``"""

from waitress import serve

from listen.app import create_app
from listen.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
