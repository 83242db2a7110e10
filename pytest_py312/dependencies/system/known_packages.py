"""Packages of the system that have what builds and imports look for: names of Debian and of Alpine. Pure."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownPackage:
    """The names of one package; ``alpine`` is empty if there is none, or if its name is not certain."""

    debian: str
    alpine: str = ""

    def __str__(self) -> str:
        if self.alpine in ("", self.debian):
            return self.debian
        return f"{self.debian} (Alpine: {self.alpine})"


_FOR_BUILDS = """
apxs                apache2-dev                 apache2-dev
cargo rustc         cargo                       cargo
git                 git                         git
cmake               cmake                       cmake
ninja               ninja-build                 samurai
make                make                        make
swig                swig                        swig
bison               bison                       bison
flex                flex                        flex
patchelf            patchelf                    patchelf
gfortran            gfortran                    gfortran
protoc              protobuf-compiler           protoc
pkg-config          pkg-config                  pkgconf
gcc cc ld ar        build-essential             build-base
clang g++ c++       build-essential             build-base
clang++ compiler    build-essential             build-base
pg_config pq        libpq-dev                   libpq-dev
libpq-fe libpq      libpq-dev                   libpq-dev
mysql_config mysql  default-libmysqlclient-dev  mariadb-dev
mysqlclient mariadb default-libmysqlclient-dev  mariadb-dev
curl-config curl    libcurl4-openssl-dev        curl-dev
gdal-config gdal    libgdal-dev                 gdal-dev
libxml2 libxml      libxml2-dev                 libxml2-dev
xml2 xml2-config    libxml2-dev                 libxml2-dev
xslt-config libxslt libxslt1-dev                libxslt-dev
xslt exslt          libxslt1-dev                libxslt-dev
ffi libffi          libffi-dev                  libffi-dev
openssl ssl crypto  libssl-dev                  openssl-dev
libssl              libssl-dev                  openssl-dev
jpeg jpeglib        libjpeg-dev                 jpeg-dev
libjpeg turbojpeg   libjpeg-dev                 jpeg-dev
zlib z              zlib1g-dev                  zlib-dev
bz2 bzlib           libbz2-dev                  bzip2-dev
lzma                liblzma-dev                 xz-dev
zstd libzstd        libzstd-dev                 zstd-dev
sql sqlext odbc     unixodbc-dev                unixodbc-dev
lber ldap           libldap2-dev                openldap-dev
sasl sasl2          libsasl2-dev                cyrus-sasl-dev
cairo               libcairo2-dev               cairo-dev
pango pangocairo    libpango1.0-dev             pango-dev
git2 libgit2        libgit2-dev                 libgit2-dev
krb5-config gssapi  libkrb5-dev                 krb5-dev
krb5-gssapi krb5    libkrb5-dev                 krb5-dev
snappy-c snappy     libsnappy-dev               snappy-dev
yaml                libyaml-dev                 yaml-dev
hdf5                libhdf5-dev                 hdf5-dev
geos-config geos_c  libgeos-dev                 geos-dev
proj                libproj-dev                 proj-dev
magic               libmagic-dev                file-dev
xmlsec1 xmlsec      libxmlsec1-dev              xmlsec-dev
libsystemd systemd  libsystemd-dev              -
dbus-1 dbus         libdbus-1-dev               dbus-dev
glib-2.0 glib       libglib2.0-dev              glib-dev
portaudio           portaudio19-dev             portaudio-dev
librdkafka rdkafka  librdkafka-dev              librdkafka-dev
leveldb             libleveldb-dev              leveldb-dev
rocksdb             librocksdb-dev              rocksdb-dev
sodium libsodium    libsodium-dev               libsodium-dev
zmq libzmq          libzmq3-dev                 zeromq-dev
event               libevent-dev                libevent-dev
gmp                 libgmp-dev                  gmp-dev
mpfr                libmpfr-dev                 mpfr-dev
freetype2 ft2build  libfreetype-dev             freetype-dev
freetype            libfreetype-dev             freetype-dev
png libpng          libpng-dev                  libpng-dev
tiff                libtiff-dev                 tiff-dev
webp libwebp        libwebp-dev                 libwebp-dev
openblas blas       libopenblas-dev             openblas-dev
lapack              liblapack-dev               lapack-dev
libvirt virt        libvirt-dev                 libvirt-dev
pcap                libpcap-dev                 libpcap-dev
MagickWand wand     libmagickwand-dev           imagemagick-dev
pcre2-config pcre2  libpcre2-dev                pcre2-dev
re2                 libre2-dev                  re2-dev
sqlfront sybdb      freetds-dev                 freetds-dev
readline            libreadline-dev             readline-dev
curses ncurses      libncurses-dev              ncurses-dev
sqlite3             libsqlite3-dev              sqlite-dev
Python              python3-dev                 python3-dev
graphviz libcgraph  libgraphviz-dev             graphviz-dev
cups cups-config    libcups2-dev                cups-dev
libavformat avcodec libavformat-dev             ffmpeg-dev
memcached           libmemcached-dev            libmemcached-dev
archive libarchive  libarchive-dev              libarchive-dev
"""
"""Programs, libraries and first parts of headers, the package of Debian, and that of Alpine."""

_FOR_IMPORTS = """
pq                  libpq5                      libpq
cairo cairo-2       libcairo2                   cairo
GL                  libgl1                      mesa-gl
GLU                 libglu1-mesa                glu
glib-2.0 gthread-2.0  libglib2.0-0              glib
gobject-2.0         libglib2.0-0                glib
magic libmagic      libmagic1                   libmagic
pango-1.0           libpango-1.0-0              pango
pangocairo-1.0      libpangocairo-1.0-0         pango
pangoft2-1.0        libpangoft2-1.0-0           pango
gdk_pixbuf-2.0      libgdk-pixbuf-2.0-0         gdk-pixbuf
sndfile             libsndfile1                 libsndfile
gomp                libgomp1                    libgomp
gfortran            libgfortran5                libgfortran
stdc++              libstdc++6                  libstdc++
atomic              libatomic1                  libatomic
mariadb             libmariadb3                 mariadb-connector-c
mysqlclient         default-libmysqlclient-dev  mariadb-dev
xml2                libxml2                     libxml2
xslt exslt          libxslt1.1                  libxslt
xmlsec1             libxmlsec1                  xmlsec
odbc                unixodbc                    unixodbc
rdkafka             librdkafka1                 librdkafka
geos_c              libgeos-c1v5                geos
gdal                libgdal-dev                 gdal
freetype            libfreetype6                freetype
SM                  libsm6                      libsm
Xext                libxext6                    libxext
Xrender             libxrender1                 libxrender
portaudio           libportaudio2               portaudio
zbar                libzbar0                    zbar
sodium              libsodium23                 libsodium
usb-1.0             libusb-1.0-0                libusb
turbojpeg           libturbojpeg0               libjpeg-turbo
vips vips-cpp       libvips-dev                 vips
openslide           libopenslide0               openslide
spatialindex        libspatialindex-dev         spatialindex
tk8.6 tcl8.6        tk                          tk
"""
"""Shared libraries without ``lib`` and ``.so``, the package of Debian, and that of Alpine."""


def _read(table: str) -> dict[str, KnownPackage]:
    rows: dict[str, KnownPackage] = {}
    for line in table.strip().splitlines():
        *keys, debian, alpine = line.split()
        rows.update(dict.fromkeys(keys, KnownPackage(debian=debian, alpine="" if alpine == "-" else alpine)))
    return rows


_BUILD_PACKAGES = _read(_FOR_BUILDS)
_IMPORT_PACKAGES = _read(_FOR_IMPORTS)
_MISSING_LIBRARY = re.compile(
    r"(?P<so>lib[\w.+-]{1,60}?)\.so(?:\.[\d.]{1,20})?: cannot open shared object file"
    r"|(?:no library called|cannot load library|[Cc]ould not (?:find|load)(?: the)?(?: library)?|"
    r"[Ff]ailed to find|Unable to find)\s+['\"]?(?P<name>(?:lib)?[A-Za-z][\w.+-]{1,60})"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingLibrary:
    """A shared library that an import could not load, as its message names it, and the package that has it."""

    name: str
    package: KnownPackage


def package_for_build(key: str) -> KnownPackage | None:
    """Return the package that has what a build lacks; ``key`` is :attr:`MissingTool.key`."""
    stem = key.removeprefix("a C ")
    return next((_BUILD_PACKAGES[name] for name in (stem, stem.lower()) if name in _BUILD_PACKAGES), None)


def missing_library(message: str) -> MissingLibrary | None:
    """Return the shared library that is missing according to the message of an error that an import raised.

    ``None`` if that is not the reason, or if no package is known to have it.
    """
    for match in _MISSING_LIBRARY.finditer(message[:2000]):
        name = (match["so"] or match["name"]).rstrip(".")
        stem = re.sub(r"\.so(?:\.[\d.]+)?$|-\d+$", "", name.removeprefix("lib"))
        for key in (stem, name.removeprefix("lib"), name):
            if package := _IMPORT_PACKAGES.get(key):
                return MissingLibrary(name=f"{match['so']}.so" if match["so"] else name, package=package)
    return None
