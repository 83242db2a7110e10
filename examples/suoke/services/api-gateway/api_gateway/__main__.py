"""``python -m api_gateway``"""

from waitress import serve

from api_gateway.app import create_app
from api_gateway.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
