"""Keys: which ones gateways and engines accept."""

import pytest

from tests.lab import look


@pytest.mark.parametrize("gateway", look.GATEWAYS)
@pytest.mark.parametrize("key", ["", "sk-wrong"], ids=["none", "wrong"])
def test_a_gateway_refuses_wrong_keys_without_asking_the_engine(gateway: str, key: str) -> None:
    with look.journal("gpu", "-u", "mirrorfleet-vllm-tiny") as engine:
        status, text = look.message(gateway, key)
    assert status == 401
    assert "authentication_error" in text
    assert look.requests(engine) == []


@pytest.mark.parametrize("gateway", look.GATEWAYS)
def test_a_developer_cannot_read_model_info(gateway: str) -> None:
    assert look.http_status(gateway, 4000, "/model/info", key=look.secret("developers"))[0] == 403
    assert look.http_status(gateway, 4000, "/model/info", key=look.secret("master"))[0] == 200


def test_the_engine_accepts_only_its_own_key() -> None:
    answers = {
        key: look.http_status("gpu", 8000, "/v1/models", key=look.secret(key) if key else "")[0]
        for key in ("", "developers", "master", "engine")
    }
    assert answers == {"": 401, "developers": 401, "master": 401, "engine": 200}
