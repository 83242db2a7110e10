"""``python -m user_service``"""

from waitress import serve

from user_service.app import create_app
from user_service.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
