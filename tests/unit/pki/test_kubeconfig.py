import yaml
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.pki.kubeconfig import Credentials, embedded, kubeconfig_text

names = st.text(st.characters(max_codepoint=0xFFFF, codec="utf-8"), min_size=1)


@given(name=names, user=names, pem=st.binary(min_size=1))
def test_it_is_yaml_with_every_value_as_given(name: str, user: str, pem: bytes) -> None:
    text = kubeconfig_text(
        server_url="https://10.0.0.1:6443", cluster_name=name, user=user, authority=b"ca", certificate=pem, key=b"key"
    )
    said = yaml.safe_load(text)
    (context,) = said["contexts"]
    assert said["current-context"] == context["name"]
    assert context["context"] == {"cluster": name, "user": user}
    assert said["clusters"][0]["name"] == name
    assert said["users"][0]["name"] == user
    assert embedded(text.encode()) == Credentials("https://10.0.0.1:6443", b"ca", pem, b"key")


def test_what_cannot_be_read_is_empty() -> None:
    assert embedded(b"\xff junk") == Credentials("", b"", b"", b"")
    assert embedded(b"    client-certificate-data: ABC\n").certificate == b""
