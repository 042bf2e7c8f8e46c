# A CMake toolchain: zig's clang, for the machine and the glibc that MATINEE_TARGET names (x86_64-linux-gnu.2.17).
string(REGEX MATCH "^[^-]+" machine "$ENV{MATINEE_TARGET}")
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR "${machine}")
find_program(zig python-zig REQUIRED)
set(CMAKE_CXX_COMPILER "${zig};c++;-target;$ENV{MATINEE_TARGET}")
set(CMAKE_CXX_ARCHIVE_CREATE "${zig} ar qcs <TARGET> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH)
# nanobind writes to stderr, which the headers of the stable ABI declare nowhere in zig's C++ library.
set(CMAKE_CXX_FLAGS_INIT "-include stdio.h")
