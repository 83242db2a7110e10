"""``python -m health_data``"""

from waitress import serve

from health_data.app import create_app
from health_data.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
