"""``python -m corn_maze``"""

from waitress import serve

from corn_maze.app import create_app
from corn_maze.settings import PORT

if __name__ == "__main__":
    serve(create_app(), host="0.0.0.0", port=PORT)
