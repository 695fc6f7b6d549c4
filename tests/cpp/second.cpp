/* The other translation unit of host.cpp: the header's inline functions are one and the same. */
#include <numeric>

#include <pellucid/pellucid.hpp>

float sum_elsewhere(const pellucid::view &view);
[[noreturn]] void throw_elsewhere();

float sum_elsewhere(const pellucid::view &view) {
  return std::accumulate(view.begin(), view.end(), 0.0f);
}

void throw_elsewhere() { throw std::logic_error("from the other translation unit"); }
