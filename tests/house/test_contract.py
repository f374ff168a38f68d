"""The contract: every element is commented, and no clinic-facing message can hold a My Number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

from tests.house.sources import ROOT

PACKAGE = "gateway.v1"
ELIGIBILITY, COVERAGE, FEED = "EligibilityService", "CoverageService", "FeedService"

NUMBER_NAME = re.compile(r"individual_?number|my_?number|personal_?number|kojin", re.IGNORECASE)
NUMBER_COMMENT = re.compile(
    r"my\s?number(?! card)|individual number|個人番号|twelve digits", re.IGNORECASE
)

# Numbers of fields in descriptor.proto, by which SourceCodeInfo names elements.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, NESTED, NESTED_ENUMS, ONEOFS = 2, 3, 4, 8
VALUES, METHODS = 2, 2


def described(folder: Path, scratch: Path) -> FileDescriptorSet:
    """The protos under a folder with their comments."""
    out = scratch / "described.bin"
    files = [str(path) for path in sorted(folder.rglob("*.proto"))]
    google = Path(protoc.__file__).parent / "_proto"
    arguments = [
        "protoc", f"-I{folder}", f"-I{ROOT / 'third_party'}", f"-I{google}",
        "--include_source_info", "--include_imports", f"--descriptor_set_out={out}", *files,
    ]  # fmt: skip
    assert protoc.main(arguments) == 0
    return FileDescriptorSet.FromString(out.read_bytes())


Place = tuple[int, ...]


class Contract:
    """A descriptor set, by the names of its elements."""

    def __init__(self, files: FileDescriptorSet) -> None:
        self.comments: dict[str, str] = {}
        self.messages: dict[str, DescriptorProto] = {}
        self.methods: dict[str, list[tuple[str, str]]] = {}
        for file in files.file:
            self._read(file)

    def _read(self, file: FileDescriptorProto) -> None:
        said = {
            tuple(place.path): place.leading_comments.strip()
            for place in file.source_code_info.location
        }
        for i, message in enumerate(file.message_type):
            self._read_message(file.package, message, (MESSAGES, i), said)
        for i, enum in enumerate(file.enum_type):
            self._read_enum(file.package, enum, (ENUMS, i), said)
        for i, service in enumerate(file.service):
            name = f"{file.package}.{service.name}"
            self._note(name, said.get((SERVICES, i)))
            self.methods[service.name] = [(m.input_type, m.output_type) for m in service.method]
            for j, method in enumerate(service.method):
                self._note(f"{name}.{method.name}", said.get((SERVICES, i, METHODS, j)))

    def _read_message(
        self, scope: str, message: DescriptorProto, place: Place, said: Mapping[Place, str]
    ) -> None:
        name = f"{scope}.{message.name}"
        self.messages[f".{name}"] = message
        if message.options.map_entry:
            return
        self._note(name, said.get(place))
        for i, field in enumerate(message.field):
            self._note(f"{name}.{field.name}", said.get((*place, FIELDS, i)))
        made = {field.oneof_index for field in message.field if field.proto3_optional}
        for i, oneof in enumerate(message.oneof_decl):
            if i in made:  # How the compiler keeps whether an optional field is said.
                continue
            self._note(f"{name}.{oneof.name}", said.get((*place, ONEOFS, i)))
        for i, enum in enumerate(message.enum_type):
            self._read_enum(name, enum, (*place, NESTED_ENUMS, i), said)
        for i, nested in enumerate(message.nested_type):
            self._read_message(name, nested, (*place, NESTED, i), said)

    def _read_enum(
        self, scope: str, enum: EnumDescriptorProto, place: Place, said: Mapping[Place, str]
    ) -> None:
        self._note(f"{scope}.{enum.name}", said.get(place))
        for i, value in enumerate(enum.value):
            self._note(f"{scope}.{enum.name}.{value.name}", said.get((*place, VALUES, i)))

    def _note(self, name: str, comment: str | None) -> None:
        if name.startswith(f"{PACKAGE}."):
            self.comments[name] = comment or ""

    def uncommented(self) -> list[str]:
        """Our elements without a comment."""
        return sorted(name for name, comment in self.comments.items() if not comment)

    def reachable(self, service: str) -> dict[str, DescriptorProto]:
        """Every message a caller of a service may send or get, however deep."""
        found: dict[str, DescriptorProto] = {}
        waiting = [name for pair in self.methods[service] for name in pair]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self.messages[name]
                waiting += [field.type_name for field in _fields_with_messages(found[name])]
        return found

    def number_like(self, service: str) -> list[str]:
        """Fields reachable from a service whose name or comment speaks of a My Number."""
        return sorted(
            f"{name[1:]}.{field.name}"
            for name, message in self.reachable(service).items()
            for field in message.field
            if NUMBER_NAME.search(field.name)
            or NUMBER_COMMENT.search(self.comments.get(f"{name[1:]}.{field.name}", ""))
        )

    def open_texts(self, service: str) -> list[str]:
        """Fields that could hold anything: maps, bytes and messages packed without a type."""
        return sorted(
            f"{name[1:]}.{field.name}"
            for name, message in self.reachable(service).items()
            for field in message.field
            if field.type == FieldDescriptorProto.TYPE_BYTES
            or field.type_name in (".google.protobuf.Any", ".google.protobuf.Struct")
            or self._is_map(field)
        )

    def _is_map(self, field: FieldDescriptorProto) -> bool:
        message = self.messages.get(field.type_name)
        return message is not None and message.options.map_entry


def _fields_with_messages(message: DescriptorProto) -> Iterator[FieldDescriptorProto]:
    return (f for f in message.field if f.type == FieldDescriptorProto.TYPE_MESSAGE)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """The published contract."""
    return Contract(described(ROOT / "protos", tmp_path_factory.mktemp("contract")))


def test_every_element_is_commented(contract: Contract) -> None:
    """Services, methods, messages, fields, enums and values each say what they are."""
    assert len(contract.comments) > len("services, methods, messages, fields ...")
    assert not contract.uncommented()


def test_walker_finds_the_my_number_an_insurer_sends(contract: Contract) -> None:
    """The walk that must find nothing for clinics does find the insurer's field and open texts."""
    expected = [
        f"gateway.v1.{name}Request.individual_number"
        for name in ("CorrectCoverage", "RegisterAcquisition", "RegisterIndividualNumber")
    ]
    assert expected == contract.number_like(COVERAGE)
    assert "gateway.v1.RegisterCoverageRequest.cells" in contract.open_texts(COVERAGE)


def test_no_clinic_facing_message_can_hold_a_my_number(contract: Contract) -> None:
    """Nothing a clinic sends or gets has a field for a My Number, or one for anything (R003-18)."""
    assert ".gateway.v1.Coverage" in contract.reachable(ELIGIBILITY)
    for service in (ELIGIBILITY, FEED):
        assert not contract.number_like(service)
        assert not contract.open_texts(service)


def test_nobody_but_an_insurer_has_a_field_to_ask_for_a_my_number(contract: Contract) -> None:
    """R002-18: of the gateway's services CoverageService alone has one; no reader, no portal."""
    register = {"ResidentRegisterService", "ResidentRegisterSimulationService"}
    others = contract.methods.keys() - {COVERAGE} - register
    assert {ELIGIBILITY, "CardReaderService", "ClaimService", "PersonService"} <= others
    assert [name for service in others for name in contract.number_like(service)] == []


PLANTED = """
syntax = "proto3";
package gateway.v1;
// Answers.
service EligibilityService {
  // Asks.
  rpc Ask(Question) returns (Outer);
}
// Asks.
message Question {}
// Answers.
message Outer {
  // What was found.
  repeated Inner inner = 1;
}
// A person.
message Inner {
  // %s
  %s = 1;
}
"""


@pytest.mark.parametrize(
    ("comment", "field", "found"),
    [
        ("A text.", "string my_number", ["gateway.v1.Inner.my_number"]),
        ("A text.", "string individual_number", ["gateway.v1.Inner.individual_number"]),
        ("The person's My Number.", "string key", ["gateway.v1.Inner.key"]),
        ("個人番号", "string key", ["gateway.v1.Inner.key"]),
        ("By My Number card.", "string route", []),
        ("The card's number.", "string number", []),
    ],
)
def test_planted_number_is_caught(
    tmp_path: Path, comment: str, field: str, found: list[str]
) -> None:
    """A field deep inside an answer is found by its name or by its comment."""
    (tmp_path / "planted.proto").write_text(PLANTED % (comment, field), encoding="utf-8")
    planted = Contract(described(tmp_path, tmp_path))
    assert found == planted.number_like(ELIGIBILITY)


def test_planted_silence_and_open_text_are_caught(tmp_path: Path) -> None:
    """An element without a comment is listed, and so is a field that could hold anything."""
    text = (PLANTED % ("", "map<string, string> cells")).replace("// What was found.", "")
    (tmp_path / "planted.proto").write_text(text, encoding="utf-8")
    planted = Contract(described(tmp_path, tmp_path))
    silent = ["gateway.v1.Inner.cells", "gateway.v1.Outer.inner"]
    assert silent == planted.uncommented()
    expected = ["gateway.v1.Inner.cells"]
    assert expected == planted.open_texts(ELIGIBILITY)
