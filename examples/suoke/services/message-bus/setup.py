from setuptools import setup

setup(
    name="message-bus",
    version="0.9.0",
    description="Topics and subscribers of the platform",
    packages=["message_bus"],
    python_requires=">=3.9",
    install_requires=["bottle", "waitress"],
)
