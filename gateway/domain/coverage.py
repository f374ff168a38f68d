"""
What the gateway remembers of a person: covers by insurers, as versions.

A `Coverage` is one version of one cover. An `Enrolment` is all covers of one insurer's
enrollee. A `History` is all enrolments of one person, which is what a lookup needs. Across
insurers covers may overlap, because nothing stops an old insurer from being late
(insurer-lifecycle.md 1.5). Records are arrays on disk: new fields go at the end, with a default.
Sources: oqs-interface.md 2.2-2.3 and 4; insurer-lifecycle.md 1.1.
"""

from __future__ import annotations

from datetime import date
from enum import Enum, IntEnum

from msgspec import Struct

from gateway.domain.identifiers import EnrolleeKey, InsuredId, PersonKey
from gateway.domain.period import Instant, Period


class Sex(IntEnum):
    """OQSCD007."""

    MALE = 1
    FEMALE = 2
    UNSET = 3


class Relationship(IntEnum):
    """Insured person or family (本人・家族の別, OQSCD009)."""

    SELF = 1
    FAMILY = 2


class CardClassification(Enum):
    """What kind of card or certificate (被保険者証区分, OQSCD010)."""

    GENERAL = "01"
    RETIREE = "02"
    SHORT_TERM_GENERAL = "03"
    SHORT_TERM_RETIREE = "04"
    SPECIAL_REIMBURSEMENT = "05"
    SPECIAL_RETIREE = "06"
    SELF_DEFENCE = "07"
    MEDICAL_ASSISTANCE = "A1"


class LossReason(Enum):
    """Why cover ended (資格喪失事由, OQSCD008)."""

    DEATH = "01"
    PUBLIC_ASSISTANCE = "02"
    OTHER_INSURANCE = "03"
    OTHER = "99"


class LimitKind(Enum):
    """Which limit certificate (限度額適用認定証区分, OQSCD011)."""

    LIMIT = "01"
    LIMIT_AND_REDUCTION = "02"
    REDUCTION = "03"


class LimitClass(Enum):
    """The income class that sets the limit (適用区分, OQSCD012)."""

    A01 = "A01"
    A02 = "A02"
    A03 = "A03"
    A04 = "A04"
    A05 = "A05"
    A06 = "A06"
    B01 = "B01"
    B02 = "B02"
    B03 = "B03"
    B04 = "B04"
    B05 = "B05"
    B06 = "B06"
    B07 = "B07"
    B08 = "B08"
    B09 = "B09"
    B10 = "B10"


class CoverState(IntEnum):
    """Whether a cover may be seen."""

    REGISTERED = 1
    SUSPENDED = 2
    """Viewing stopped (閲覧停止) until the insurer confirms or corrects."""
    CANCELLED = 3
    """Taken back: it never existed."""


class ElderlyCertificate(Struct, frozen=True, array_like=True):
    """Elderly recipient certificate (高齢受給者証); `copayment_ratio` in percent."""

    validity: Period
    copayment_ratio: int
    issue_date: date | None = None


class LimitCertificate(Struct, frozen=True, array_like=True):
    """Limit certificate (限度額適用認定証); shown only with consent (R003-07)."""

    validity: Period
    kind: LimitKind
    limit_class: LimitClass
    issue_date: date | None = None
    long_term_date: date | None = None


class DiseaseCategory(Enum):
    """Which specific disease (特定疾病の疾病区分, OQSCD013)."""

    KIDNEY_FAILURE = "1"
    CLOTTING_FACTOR = "2"
    HIV_BY_CLOTTING_FACTOR = "3"


class DiseaseCertificate(Struct, frozen=True, array_like=True):
    """
    Specific disease certificate (特定疾病療養受療証), which a person may have several of.

    `self_pay` is what the person pays at most a month, in yen (insurer-lifecycle.md 1.1 #28-29).
    """

    validity: Period
    category: DiseaseCategory
    self_pay: int
    issue_date: date | None = None


class Document(Enum):
    """A document an insurer saw before it issued a certificate; the codes are our own."""

    APPLICATION = "1"
    """The application (申請書)."""
    TAX_EXEMPTION = "2"
    """That the household pays no residence tax (非課税証明書等)."""
    MEDICAL_OPINION = "3"
    """A doctor's opinion (医師の意見書)."""


class UncollectedReason(Enum):
    """Why a card or certificate will not come back (回収不能事由); the codes are our own."""

    DESTROYED = "1"
    LOST = "2"
    NOT_RETURNED = "3"
    OTHER = "9"


class MedicalTicket(Struct, frozen=True, array_like=True):
    """A ticket of medical assistance (医療券・調剤券); `month` is YYYYMM."""

    month: str
    ticket_type: str
    issue_number: str
    validity: Period
    institution_code: str = ""
    institution_name: str = ""


class Coverage(Struct, frozen=True, array_like=True, kw_only=True):
    """
    One version of a cover by one insurer (資格, shikaku).

    `cover_no` counts the covers of one enrollee, `version_no` the versions of one cover, both
    from 1. `period` is half-open: on the loss date there is no cover. `is_medical_stopped` tells
    that the resident register disagrees about a name or an address, so that no medical information
    may be shown while the cover itself answers (insurer-lifecycle.md 1.3 #9).
    """

    cover_no: int
    version_no: int
    recorded_time: Instant
    state: CoverState
    insured_id: InsuredId
    birth_date: date
    period: Period
    name: str
    insurer_name: str
    sex: Sex
    card_classification: CardClassification = CardClassification.GENERAL
    name_kana: str = ""
    name_of_other: str = ""
    name_of_other_kana: str = ""
    insured_name: str = ""
    sex_on_reverse: Sex | None = None
    post_number: str = ""
    address: str = ""
    relationship: Relationship | None = None
    card_issue_date: date | None = None
    card_validity: Period | None = None
    copayment_ratio: int | None = None
    is_preschool: bool = False
    loss_reason: LossReason | None = None
    elderly: tuple[ElderlyCertificate, ...] = ()
    limits: tuple[LimitCertificate, ...] = ()
    tickets: tuple[MedicalTicket, ...] = ()
    diseases: tuple[DiseaseCertificate, ...] = ()
    is_voluntary_continuation: bool = False
    """Continued of one's own will after leaving work (任意継続), for at most two years."""
    is_nondisclosed: bool = False
    """The address is not to be told (不開示該当フラグ); see `gateway.domain.hiding`."""
    is_self_information_withheld: bool = False
    """The card may be in wrong hands (自己情報提供不可フラグ); see there."""
    certificate_issue_date: date | None = None
    """Of the qualification certificate (資格確認書)."""
    certificate_last_valid_date: date | None = None
    """Included."""
    certificate_collected_date: date | None = None
    card_collected_date: date | None = None
    """When the insurer had the card back (証回収日)."""
    documents_seen: tuple[Document, ...] = ()
    """What was seen for the certificates said last."""
    is_medical_stopped: bool = False
    uncollected_reason: UncollectedReason | None = None
    """Of what is out after a loss; see `gateway.domain.collection`."""

    @property
    def is_visible(self) -> bool:
        """Whether a clinic may learn of it."""
        return self.state is CoverState.REGISTERED

    def is_identified_as(self, other: Coverage) -> bool:
        """Whether symbol, number and birth date are another's; only a correction changes them."""
        mine, its = self.insured_id, other.insured_id
        return (mine.symbol, mine.number, self.birth_date) == (
            its.symbol,
            its.number,
            other.birth_date,
        )


class Enrolment(Struct, frozen=True, array_like=True):
    """
    All covers of one insurer's enrollee, each in its last known version.

    `is_numbered` tells whether a My Number links the enrollee to the person.
    """

    enrollee_key: EnrolleeKey
    is_numbered: bool
    covers: tuple[Coverage, ...]


class History(Struct, frozen=True, array_like=True):
    """
    All enrolments of one person, as known at some moment.

    `version` counts how often the person's record changed; an answer names it.
    """

    person_key: PersonKey
    version: int
    enrolments: tuple[Enrolment, ...]


class VersionRef(Struct, frozen=True, array_like=True):
    """Names one version of one cover: which facts decided an answer."""

    enrollee_key: EnrolleeKey
    cover_no: int
    version_no: int
    recorded_time: Instant
