"""Images of skaffold.yaml: text in, Dockerfiles and required images out."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.skaffold import SkaffoldImage, read_skaffold

TEXT = """\
apiVersion: skaffold/v4beta1
build:
  artifacts:
  - image: gcr.io/x/api
    docker: {dockerfile: docker/api.Dockerfile, buildArgs: {REQUIREMENTS: prod.txt, TAG: '{{.TAG}}'}}
    requires:
    - {image: common, alias: COMMON_IMAGE}
    - {image: tools}
  - {image: common, context: ../common}
profiles:
- name: local
  build: {artifacts: [{image: other}]}
"""


def test_images_have_their_dockerfiles_and_what_they_require() -> None:
    assert read_skaffold(TEXT, "services/api/skaffold.yaml") == (
        SkaffoldImage(
            name="gcr.io/x/api",
            dockerfile="services/api/docker/api.Dockerfile",
            arguments=(("REQUIREMENTS", "prod.txt"),),
            required=(("COMMON_IMAGE", "common"),),
        ),
        SkaffoldImage(name="common", dockerfile="services/common/Dockerfile"),
    )


@given(text=st.text(alphabet="build:artfcsmg-{}[], \n", max_size=100))
def test_no_text_makes_it_raise(text: str) -> None:
    assert isinstance(read_skaffold(f"build:\n  artifacts:\n{text}", "skaffold.yaml"), tuple)
