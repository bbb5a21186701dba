"""Which VRRP routers a host hears: a router id is a name, and two that have the same take each other's address."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from kbootstrap.facts.fact import Single

LISTEN_SECONDS = 3
"""Routers speak once a second unless told otherwise (RFC 5798), and ours four times."""

# Perl is part of every Debian and Ubuntu (perl-base). 112: VRRP's protocol number; 224.0.0.18: its group.
_LISTEN = """\
use Socket qw(:DEFAULT IP_ADD_MEMBERSHIP pack_ip_mreq);
socket(my $heard, PF_INET, SOCK_RAW, 112) or exit 1;
setsockopt($heard, 0, IP_ADD_MEMBERSHIP, pack_ip_mreq(inet_aton("224.0.0.18"), inet_aton($ARGV[0])));
my ($end, %seen) = (time + $ARGV[1]);
while (time < $end) {
  my $wait = "";
  vec($wait, fileno($heard), 1) = 1;
  next unless select($wait, undef, undef, 0.2) > 0;
  defined recv($heard, my $packet, 1500, 0) or next;
  my $vrrp = substr($packet, (ord($packet) & 15) * 4);
  next if length($vrrp) < 8 or (ord($vrrp) & 15) != 1;
  my $line = inet_ntoa(substr($packet, 12, 4)) . " " . ord(substr($vrrp, 1, 1));
  print "$line\\n" unless $seen{$line}++;
}
"""


@dataclass(frozen=True, slots=True)
class Advert:
    """A router that said it is there."""

    source: IPv4Address
    router_id: int


@dataclass(frozen=True, slots=True)
class VrrpAdverts(Single[tuple[Advert, ...]]):
    """The routers heard at the interface with `address` within three seconds, by multicast or to the host itself."""

    waits = True

    address: IPv4Address

    @property
    def command(self) -> str:
        return f"perl -e '{_LISTEN}' {self.address} {LISTEN_SECONDS}"

    def value(self, output: bytes) -> tuple[Advert, ...]:
        rows = (line.split() for line in output.decode(errors="replace").splitlines())
        return tuple(Advert(IPv4Address(row[0]), int(row[1])) for row in rows if len(row) == 2)
