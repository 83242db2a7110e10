"""``python -m blockchain``"""

from waitress import serve

from blockchain.app import create_app
from blockchain.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
