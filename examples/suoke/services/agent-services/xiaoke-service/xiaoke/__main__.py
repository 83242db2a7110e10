"""``python -m xiaoke``"""

from waitress import serve

from xiaoke.app import create_app
from xiaoke.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
