"""``python -m soer``"""

from waitress import serve

from soer.app import create_app
from soer.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
