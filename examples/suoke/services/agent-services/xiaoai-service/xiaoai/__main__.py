"""``python -m xiaoai``"""

from waitress import serve

from xiaoai.app import create_app
from xiaoai.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
