"""``python -m accessibility``"""

from waitress import serve

from accessibility.app import create_app
from accessibility.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
