"""``python -m palpation``"""

from waitress import serve

from palpation.app import create_app
from palpation.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
