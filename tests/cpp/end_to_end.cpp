/* From a scene to posterior samples in C++: four dithered, rotated exposures with noise and a dead
 * pixel are made by prediction, sampled, and the samples compared with the scene.
 *
 *   end_to_end LIBRARY PRIOR MODEL_SIDE PIXEL_SCALE MODEL_DIR */
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>

#include <pellucid/pellucid.hpp>

namespace {

constexpr std::size_t side = 16, psf_side = 13;
constexpr double ra_deg = 150.1, dec_deg = 2.2, pixel_arcsec = 0.06, sigma = 0.05;

/* FITS cards of a TAN WCS, turned and shifted: the k-th dither. */
std::string header(int k) {
  const double turn = 0.1 * k, scale = pixel_arcsec / 3600.0;
  const std::pair<const char *, double> values[] = {
      {"CRPIX1", (side + 1) / 2.0 + 0.5 * (k % 2)},
      {"CRPIX2", (side + 1) / 2.0 + 0.5 * (k / 2)},
      {"CRVAL1", ra_deg},
      {"CRVAL2", dec_deg},
      {"CD1_1", -scale * std::cos(turn)},
      {"CD1_2", scale * std::sin(turn)},
      {"CD2_1", scale * std::sin(turn)},
      {"CD2_2", scale * std::cos(turn)},
  };
  std::string cards = "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\n";
  for (const auto &[key, value] : values) {
    char card[81];
    std::snprintf(card, sizeof card, "%-8s= %20.13E\n", key, value);
    cards += card;
  }
  return cards;
}

/* A galaxy with an exponential profile. */
std::vector<float> galaxy(std::size_t n) {
  std::vector<float> image(n * n);
  const double middle = 0.5 * static_cast<double>(n);
  for (std::size_t k = 0; k < n * n; ++k) {
    const double x = static_cast<double>(k % n) - middle - 1.0;
    const double y = (static_cast<double>(k / n) - middle) / 0.6;
    image[k] = static_cast<float>(std::exp(-std::hypot(x, y) / (0.16 * middle)));
  }
  return image;
}

double total(const float *values, std::size_t n) {
  double sum = 0.0;
  for (std::size_t k = 0; k < n; ++k) sum += static_cast<double>(values[k]);
  return sum;
}

void run(char **argv) {
  const auto plugin = pellucid::plugin::load(argv[1]);
  std::cout << plugin.version() << '\n';
  const std::string config =
      R"({"device": "cpu", "model_dirs": [")" + std::string(argv[5]) + "\"]}";
  const pellucid::engine engine(
      plugin, config, [](std::int32_t level, std::string_view from, std::string_view message) {
        std::cerr << '[' << level << "] " << from << ": " << message << '\n';
      });

  std::vector<float> kernel(psf_side * psf_side);
  for (std::size_t k = 0; k < kernel.size(); ++k) {
    const double x = static_cast<double>(k % psf_side) - 6.0;
    const double y = static_cast<double>(k / psf_side) - 6.0;
    kernel[k] = static_cast<float>(std::exp(-(x * x + y * y) / 18.0));
  }
  const auto psf = engine.psf({kernel, {psf_side, psf_side}}, 4);

  pellucid::job_spec wanted;
  wanted.ra_deg = ra_deg;
  wanted.dec_deg = dec_deg;
  wanted.pixel_scale_arcsec = std::atof(argv[4]);
  wanted.ny = wanted.nx = std::atoi(argv[3]);
  wanted.n_samples = 6;
  wanted.seed = 42;
  wanted.prior = argv[2];
  const auto n = static_cast<std::size_t>(wanted.nx);
  const auto truth = galaxy(n);

  /* Empty exposures give the geometry; A x of the galaxy plus noise gives the real ones. */
  std::mt19937 generator(1);
  std::normal_distribution<float> noise(0.0f, static_cast<float>(sigma));
  const auto error = pellucid::array_ref::constant(sigma, side, side);
  std::vector<pellucid::exposure> exposures;
  for (int k = 0; k < 4; ++k) {
    std::vector<float> pixels(side * side);
    std::vector<std::uint8_t> quality(side * side);
    const auto wcs = engine.wcs_from_fits_header(header(k));
    pellucid::exposure_spec seen{"exposure-" + std::to_string(k), {pixels, {side, side}}, error};
    std::vector<pellucid::exposure> blank;
    blank.push_back(engine.exposure(seen, wcs, psf));
    const auto images =
        engine.predict(blank, ra_deg, dec_deg, wanted.pixel_scale_arcsec, {truth, {n, n}});
    for (std::size_t p = 0; p < pixels.size(); ++p) pixels[p] = images[0][p] + noise(generator);
    pixels[17] = std::nanf("");
    quality[17] = 4;
    seen.dq = pellucid::array_ref(quality, {side, side});
    exposures.push_back(engine.exposure(seen, wcs, psf));
  }

  std::cout << "needs " << engine.estimate(exposures, wanted).host_peak << " bytes at most\n";
  const auto job = engine.submit(exposures, wanted);
  while (!job.wait_for(std::chrono::milliseconds(500))) {
    std::cerr << 100.0 * job.poll().fraction << " %\n";
  }
  const auto result = job.result();
  const auto mean = result.mean();
  const auto scatter = result.standard_deviation();
  const auto residuals = result.residuals(0);
  double chi2 = 0.0;
  int good = 0;
  for (const float r : residuals) {
    if (!std::isfinite(r)) continue;
    chi2 += static_cast<double>(r * r) / (sigma * sigma);
    ++good;
  }
  std::cout << "flux " << total(mean.data(), mean.size()) << " of the mean, "
            << total(truth.data(), truth.size()) << " of the scene\n"
            << "scatter " << total(scatter.data(), scatter.size()) / static_cast<double>(n * n)
            << " per pixel\nresidual of the mean: chi2/n " << chi2 / good << " over " << good
            << " pixels\n";
  if (good != side * side - 1) throw std::logic_error("one pixel is dead");
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 6) {
    std::cerr << "usage: end_to_end LIBRARY PRIOR MODEL_SIDE PIXEL_SCALE MODEL_DIR\n";
    return 2;
  }
  run(argv);
  std::cout << "ok\n";
  return 0;
} catch (const pellucid::error &error) {
  std::cerr << "error " << error.code() << ": " << error.what() << '\n' << error.json() << '\n';
  return 1;
} catch (const std::exception &exception) {
  std::cerr << "error: " << exception.what() << '\n';
  return 1;
}
