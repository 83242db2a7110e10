"""``python -m app``"""

from waitress import serve

from app.app import create_app
from app.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
