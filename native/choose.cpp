#include "choose.hpp"

#include <cstdlib>
#include <string>
#include <vector>

namespace matinee {

namespace portable {
extern const Kernels kernels;
}
#if defined(MATINEE_X86)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#elif defined(MATINEE_ARM64)
namespace neon {
extern const Kernels kernels;
}
#endif

namespace {

#if defined(MATINEE_X86)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

// Those this processor has, the best first.
std::vector<const Kernels*> available() {
    std::vector<const Kernels*> found;
#if defined(MATINEE_X86)
    if (has_avx512()) found.push_back(&avx512::kernels);
    if (has_avx2()) found.push_back(&avx2::kernels);
#elif defined(MATINEE_ARM64)
    found.push_back(&neon::kernels);
#endif
    found.push_back(&portable::kernels);
    return found;
}

const Kernels& choose() {
    const char* wanted = std::getenv("MATINEE_ISA");
    std::string names;
    for (const Kernels* each : available()) {
        if (!wanted || !*wanted || std::string(wanted) == each->name) return *each;
        names += std::string(names.empty() ? "" : ", ") + each->name;
    }
    throw NoSuchInstructionSet("MATINEE_ISA=" + std::string(wanted) + ": this machine runs " + names);
}

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Kernels* each : available()) names.emplace_back(each->name);
    return names;
}

const Kernels& kernels() {
    static const Kernels& chosen = choose();
    return chosen;
}

}  // namespace matinee
