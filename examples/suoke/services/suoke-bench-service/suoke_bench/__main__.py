"""``python -m suoke_bench``"""

from waitress import serve

from suoke_bench.app import create_app
from suoke_bench.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
