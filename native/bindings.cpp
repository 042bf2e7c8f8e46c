#include <nanobind/nanobind.h>

NB_MODULE(_matinee_native, m) { m.doc() = "Kernels of Matinee; call them through matinee.kernels."; }
