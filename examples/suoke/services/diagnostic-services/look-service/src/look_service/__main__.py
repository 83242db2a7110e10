"""``look-service``, or ``python -m look_service``"""

from waitress import serve

from look_service.app import create_app
from look_service.settings import PORT


def main():
    serve(create_app(), host="0.0.0.0", port=PORT)


if __name__ == "__main__":
    main()
