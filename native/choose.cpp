#include "choose.hpp"

#include <cstdlib>
#include <string>

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
#endif

namespace {

struct Choice {
    const Kernels* kernels;
    bool supported;
};

#if defined(MATINEE_X86)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

const Kernels& choose() {
    const Choice choices[] = {
#if defined(MATINEE_X86)
        {&avx512::kernels, has_avx512()},
        {&avx2::kernels, has_avx2()},
#endif
        {&portable::kernels, true},
    };
    const char* wanted = std::getenv("MATINEE_ISA");
    std::string available;
    for (const Choice& choice : choices) {
        if (!choice.supported) continue;
        if (!wanted || !*wanted || std::string(wanted) == choice.kernels->name) return *choice.kernels;
        available += std::string(available.empty() ? "" : ", ") + choice.kernels->name;
    }
    throw NoSuchInstructionSet("MATINEE_ISA=" + std::string(wanted) + ": this machine runs " + available);
}

}  // namespace

const Kernels& kernels() {
    static const Kernels& chosen = choose();
    return chosen;
}

}  // namespace matinee
