"""``python -m laoke``"""

from waitress import serve

from laoke.app import create_app
from laoke.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
