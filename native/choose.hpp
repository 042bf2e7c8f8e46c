// Which instruction set runs.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "isa.hpp"

namespace matinee {

// MATINEE_ISA names an instruction set that is unknown or that the processor lacks.
struct NoSuchInstructionSet : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The names of the instruction sets this processor has, the best first.
std::vector<std::string> instruction_sets();

// The best instruction set this processor has, or the one MATINEE_ISA names (avx512, avx2, portable).
const Kernels& kernels();

}  // namespace matinee
