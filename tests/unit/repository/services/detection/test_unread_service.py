"""An error of this package in one service ends neither discovery nor the other services."""

from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services import discovery, service_description, shared_packages
from pytest_py312.repository.services.detection import suites_above
from tests.support.fakes import service_tree

FILES = {"api/Dockerfile": "FROM python:3.10\n", "api/app.py": "", "web/Dockerfile": "FROM python:3.9\n"}


def failing(original: object, error: Exception) -> object:
    """Return a function that raises ``error`` where something of ``web`` is among its arguments."""

    def call(*arguments: object, **options: object) -> object:
        if any(getattr(argument, "path", argument) == "web" for argument in arguments):
            raise error
        return original(*arguments, **options)  # type: ignore[operator]  # the function that it stands for

    return call


@pytest.mark.parametrize(
    ("module", "name", "baseline"),
    [
        (service_description, "read_service_files", "3.12"),
        (service_description, "find_baseline", "3.12"),
        (shared_packages, "_with_layers", "3.9"),
        (shared_packages, "_packages_in_image", "3.9"),
        (suites_above._Finder, "with_suite", "3.9"),
    ],
)
def test_the_other_services_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, baseline: str
) -> None:
    service_tree(tmp_path, FILES)
    monkeypatch.setattr(module, name, failing(getattr(module, name), KeyError("Fn::Sub")))

    api, web = discovery.discover(Plan(root=tmp_path)).services

    assert (api.name, str(api.baseline), api.unread) == ("api", "3.10", "")
    assert (web.name, str(web.baseline)) == ("web", baseline)
    assert web.unread.startswith("its files could not be read: internal error in pytest-py312, please report it: Key")
    assert ".py:" in web.unread


def test_a_mistake_in_the_plan_ends_discovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service_tree(tmp_path, FILES)
    mistake = PlanError("py312.toml:3", "service", "no such file")
    monkeypatch.setattr(service_description, "find_baseline", lambda *_: (_ for _ in ()).throw(mistake))

    with pytest.raises(PlanError, match="no such file"):
        discovery.discover(Plan(root=tmp_path))


def test_the_place_of_an_error_is_a_file_of_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_layers(service: Service) -> Service:
        raise TypeError("of ours")

    service_tree(tmp_path, FILES)
    monkeypatch.setattr(shared_packages, "_with_layers", with_layers)

    for service in discovery.discover(Plan(root=tmp_path)).services:
        assert "TypeError: of ours (repository/services/detection/unread_service.py:" in service.unread
