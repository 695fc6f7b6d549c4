/* pellucid_core.hpp: the part of pellucid.hpp that knows no engine: errors, handles, arrays and the
 * loader. Include pellucid.hpp. */
#ifndef PELLUCID_PELLUCID_CORE_HPP
#define PELLUCID_PELLUCID_CORE_HPP

#if __cplusplus < 201703L
#error "pellucid.hpp needs C++17"
#endif

#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <pellucid/pellucid.h>

namespace pellucid {

/* ---- Errors ------------------------------------------------------------------------------- */

/* A call that did not return PELLUCID_OK. what() is the message with all causes. Copies share. */
class error : public std::runtime_error {
 public:
  error(pellucid_status code, const std::string &message, std::string json = "{}",
        std::exception_ptr cause = nullptr)
      : std::runtime_error(message),
        code_(code),
        rest_(std::make_shared<const rest>(rest{std::move(json), std::move(cause)})) {}

  /* One of PELLUCID_E_*, or a newer code. */
  pellucid_status code() const noexcept { return code_; }
  /* {"code": ..., "name": ..., "message": ..., "chain": [...]}. */
  const std::string &json() const noexcept { return rest_->json; }
  /* What a callback threw on the thread of the call, or null. */
  std::exception_ptr cause() const noexcept { return rest_->cause; }

 private:
  struct rest {
    std::string json;
    std::exception_ptr cause;
  };
  pellucid_status code_;
  std::shared_ptr<const rest> rest_;
};

/* The library cannot be loaded, or is no plugin of this breaking level. */
class load_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/* What a callback on this thread threw during the call that is in progress. */
inline std::exception_ptr &thrown() noexcept {
  thread_local std::exception_ptr exception;
  return exception;
}

inline std::string with_cause(std::string message, const std::exception_ptr &cause) {
  try {
    if (cause) std::rethrow_exception(cause);
  } catch (const std::exception &exception) {
    message += ": ";
    message += exception.what();
  } catch (...) {
    message += ": not a std::exception";
  }
  return message;
}

[[noreturn]] inline void raise(const pellucid_api &api, pellucid_status status,
                               pellucid_error *raw) {
  const std::unique_ptr<pellucid_error, void (*)(pellucid_error *)> owned(raw, api.error_release);
  std::exception_ptr cause = std::exchange(thrown(), nullptr);
  if (!raw) throw error(status, with_cause(api.status_name(status), cause), "{}", cause);
  throw error(status, with_cause(api.error_message(raw), cause), api.error_json(raw), cause);
}

/* Runs a slot, given the place for its error, and throws if it fails. */
template <class Slot>
void checked(const pellucid_api &api, Slot &&slot) {
  pellucid_error *raw = nullptr;
  thrown() = nullptr;
  const pellucid_status status = slot(&raw);
  if (status != PELLUCID_OK) raise(api, status, raw);
}

/* Runs a callback; non-zero and thrown() if it throws. */
template <class Body>
std::int32_t guarded(Body &&body) noexcept {
  try {
    body();
    return 0;
  } catch (...) {
    thrown() = std::current_exception();
    return 1;
  }
}

/* Runs a callback that cannot fail its call. */
template <class Body>
void swallowed(Body &&body) noexcept {
  try {
    body();
  } catch (...) {
    /* There is nobody to tell. */
  }
}

/* A zeroed struct of the interface that knows its size. */
template <class Struct>
Struct sized() noexcept {
  Struct value{};
  value.struct_size = static_cast<std::uint32_t>(sizeof(Struct));
  return value;
}

/* A handle of the plugin and the slot that ends it. */
template <class Raw, void (*pellucid_api::*Release)(Raw *)>
class handle {
 public:
  handle() noexcept = default;
  handle(const pellucid_api &api, Raw *raw) noexcept : api_(&api), raw_(raw) {}
  handle(handle &&other) noexcept : api_(other.api_), raw_(std::exchange(other.raw_, nullptr)) {}
  handle &operator=(handle &&other) noexcept {
    if (this != &other) {
      reset();
      api_ = other.api_;
      raw_ = std::exchange(other.raw_, nullptr);
    }
    return *this;
  }
  ~handle() { reset(); }

  explicit operator bool() const noexcept { return raw_ != nullptr; }
  /* The C handle, still owned by this object. */
  Raw *get() const noexcept { return raw_; }
  /* The C handle, now the caller's to release. */
  Raw *release() noexcept { return std::exchange(raw_, nullptr); }
  void reset() noexcept {
    if (raw_) (api_->*Release)(std::exchange(raw_, nullptr));
  }

 protected:
  const pellucid_api &api() const noexcept { return *api_; }

 private:
  const pellucid_api *api_ = nullptr;
  Raw *raw_ = nullptr;
};

template <class T>
constexpr std::int32_t dtype_of() noexcept {
  if constexpr (std::is_same_v<T, float>) return PELLUCID_F32;
  if constexpr (std::is_same_v<T, double>) return PELLUCID_F64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return PELLUCID_U8;
  if constexpr (std::is_same_v<T, std::int32_t>) return PELLUCID_I32;
  if constexpr (std::is_same_v<T, std::uint32_t>) return PELLUCID_U32;
  return 0;
}

inline const char *or_null(const std::string &text) noexcept {
  return text.empty() ? nullptr : text.c_str();
}

}  // namespace detail

/* ---- Arrays ------------------------------------------------------------------------------- */

/* Contiguous values that somebody else owns; in C++20 it converts to std::span. */
template <class T>
class span {
 public:
  constexpr span() noexcept = default;
  constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
  constexpr T *data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T *begin() const noexcept { return data_; }
  constexpr T *end() const noexcept { return data_ + size_; }
  constexpr T &operator[](std::size_t k) const { return data_[k]; }

 private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};

/* The caller's values on their way in: borrowed, and copied by the plugin during the call. Shapes
 * have the slowest axis first, as in {ny, nx}. */
class array_ref {
 public:
  /* Values in C order. */
  template <class T>
  array_ref(const T *data, std::initializer_list<std::size_t> shape)
      : array_(detail::sized<pellucid_array>()) {
    static_assert(detail::dtype_of<T>() != 0, "float, double, uint8_t, int32_t or uint32_t");
    if (shape.size() < 1 || shape.size() > 6) {
      throw std::invalid_argument("pellucid::array_ref: 1 to 6 dimensions");
    }
    array_.flags = PELLUCID_ARRAY_READ_ONLY;
    array_.data = data;
    array_.dtype = detail::dtype_of<T>();
    array_.ndim = static_cast<std::int32_t>(shape.size());
    auto stride = static_cast<std::int64_t>(sizeof(T));
    auto side = shape.end();
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      array_.shape[axis] = static_cast<std::int64_t>(*--side);
      array_.stride[axis] = stride;
      stride *= array_.shape[axis];
    }
  }
  /* A vector, std::array or std::span in C order, of as many values as the shape says. A temporary
   * is fine as an argument of the call that reads it. */
  template <class Container, class T = std::remove_cv_t<std::remove_reference_t<
                                 decltype(*std::data(std::declval<const Container &>()))>>>
  array_ref(const Container &values, std::initializer_list<std::size_t> shape)
      : array_ref(static_cast<const T *>(std::data(values)), shape) {
    std::size_t need = 1;
    for (const std::size_t side : shape) need *= side;
    if (need != std::size(values)) {
      throw std::invalid_argument("pellucid::array_ref: the shape is not that of the values");
    }
  }
  /* Values at any strides in bytes, one for each axis; 0 and negative ones are fine. */
  template <class T>
  array_ref(const T *data, std::initializer_list<std::size_t> shape,
            std::initializer_list<std::ptrdiff_t> stride_bytes)
      : array_ref(data, shape) {
    if (stride_bytes.size() != shape.size()) {
      throw std::invalid_argument("pellucid::array_ref: one stride for each axis");
    }
    std::size_t axis = 0;
    for (const std::ptrdiff_t stride : stride_bytes) array_.stride[axis++] = stride;
  }
  /* An image [ny, nx] that is value everywhere. */
  template <class T>
  static array_ref constant(const T &value, std::size_t ny, std::size_t nx) {
    return array_ref(&value, {ny, nx}, {0, 0});
  }
  template <class T>
  static array_ref constant(const T &&, std::size_t, std::size_t) = delete;

  const pellucid_array *get() const noexcept { return &array_; }

 private:
  pellucid_array array_;
};

/* Values of the plugin, float32 in C order, without a copy: alive as long as this object, whatever
 * else is gone. It is a contiguous range over all values. */
class view {
 public:
  view() noexcept = default;
  view(view &&other) noexcept : array_(std::exchange(other.array_, pellucid_array{})) {}
  view &operator=(view &&other) noexcept {
    if (this != &other) {
      reset();
      array_ = std::exchange(other.array_, pellucid_array{});
    }
    return *this;
  }
  ~view() { reset(); }
  /* Takes over an array that a slot filled in. */
  explicit view(const pellucid_array &array) : array_(array) {
    std::int64_t stride = static_cast<std::int64_t>(sizeof(float));
    bool fits = array.dtype == PELLUCID_F32;
    for (std::size_t axis = ndim(); axis-- > 0; stride *= array.shape[axis]) {
      fits = fits && array.stride[axis] == stride;
    }
    if (!fits) {
      reset();
      throw error(PELLUCID_E_UNSUPPORTED, "pellucid::view: the plugin gave no float32 in C order");
    }
  }

  std::size_t ndim() const noexcept { return static_cast<std::size_t>(array_.ndim); }
  std::size_t shape(std::size_t axis) const { return static_cast<std::size_t>(array_.shape[axis]); }
  std::size_t size() const noexcept { return stride_of(0) * (ndim() ? shape(0) : 0); }
  bool empty() const noexcept { return size() == 0; }

  const float *data() const &noexcept { return static_cast<const float *>(array_.data); }
  const float *data() const && = delete; /* of a temporary: name the view first */
  const float *begin() const noexcept { return static_cast<const float *>(array_.data); }
  const float *end() const noexcept { return begin() + size(); }
  float operator[](std::size_t k) const { return begin()[k]; }
  /* One value, by one index for each axis; std::out_of_range. */
  template <class... Index>
  float at(Index... index) const {
    const std::array<std::size_t, sizeof...(Index)> list{static_cast<std::size_t>(index)...};
    if (list.size() != ndim()) throw std::out_of_range("pellucid::view: one index for each axis");
    std::size_t offset = 0;
    for (std::size_t axis = 0; axis < list.size(); ++axis) {
      if (list[axis] >= shape(axis)) throw std::out_of_range("pellucid::view: beyond the shape");
      offset += list[axis] * stride_of(axis);
    }
    return begin()[offset];
  }
  /* Element k of the slowest axis, such as one sample; std::out_of_range. */
  span<const float> slice(std::size_t k) const & {
    if (ndim() == 0 || k >= shape(0)) throw std::out_of_range("pellucid::view: no such slice");
    return {begin() + k * stride_of(0), stride_of(0)};
  }
  span<const float> slice(std::size_t) const && = delete;

 private:
  /* In elements. */
  std::size_t stride_of(std::size_t axis) const noexcept {
    return static_cast<std::size_t>(array_.stride[axis]) / sizeof(float);
  }
  void reset() noexcept {
    if (array_.release) array_.release(&array_);
  }

  pellucid_array array_{};
};

/* ---- The library -------------------------------------------------------------------------- */

/* The function table of a loaded library, which stays loaded until the process ends. Copies are
 * cheap. */
class plugin {
 public:
  /* Loads path; else what the environment variable PELLUCID_PLUGIN names; else libpellucid.so.1
   * from where the dynamic linker looks. Starts nothing. load_error. */
  static plugin load(const std::string &path = {}) {
    const char *named = std::getenv("PELLUCID_PLUGIN");
    const std::string file = !path.empty() ? path : named && *named ? named : PELLUCID_SONAME;
    int flags = RTLD_NOW | RTLD_LOCAL;
#ifdef RTLD_NODELETE
    flags |= RTLD_NODELETE;
#endif
    void *library = ::dlopen(file.c_str(), flags);
    if (!library) throw load_error(last_dl_error());
    void *symbol = ::dlsym(library, PELLUCID_GET_API);
    if (!symbol) throw load_error(file + " is not a Pellucid plugin: " + last_dl_error());
    pellucid_get_api_fn entry = nullptr;
    static_assert(sizeof entry == sizeof symbol, "POSIX: dlsym gives functions too");
    std::memcpy(&entry, &symbol, sizeof entry);
    std::uint32_t range[2] = {0, 0};
    const pellucid_api *api = entry(PELLUCID_ABI, range);
    if (!api) {
      throw load_error(file + " has interface levels " + std::to_string(range[0]) + " to " +
                       std::to_string(range[1]) + ", need " + std::to_string(PELLUCID_ABI));
    }
    return plugin(*api);
  }
  /* A table that was found in another way; static, as the library's is. load_error. */
  explicit plugin(const pellucid_api &api) : api_(&api) {
    if (!PELLUCID_HAS(&api, result_release)) {
      throw load_error("the plugin's table is shorter than that of its interface level");
    }
  }

  const pellucid_api &api() const noexcept { return *api_; }
  /* "pellucid 0.1.0 (engine: ...)". */
  std::string_view version() const noexcept { return api_->version_string(); }
  /* Additions to the interface that it has: see PELLUCID_ABI_MINOR. */
  std::uint32_t minor() const noexcept { return api_->minor; }
  std::string_view status_name(pellucid_status status) const noexcept {
    return api_->status_name(status);
  }
  /* An experimental table, such as extension<pellucid_predict_ext>(PELLUCID_EXT_PREDICT); null if
   * the plugin has none of that name and revision. */
  template <class Table>
  const Table *extension(const char *id) const noexcept {
    return static_cast<const Table *>(api_->get_extension(id));
  }
  /* The devices of this machine; nothing is started. */
  std::vector<pellucid_device> devices() const {
    std::size_t n = 0;
    detail::checked(*api_, [&](auto e) { return api_->devices(nullptr, &n, e); });
    std::vector<pellucid_device> list(n, detail::sized<pellucid_device>());
    detail::checked(*api_, [&](auto e) { return api_->devices(list.data(), &n, e); });
    if (n < list.size()) list.resize(n);
    return list;
  }

 private:
  static std::string last_dl_error() {
    const char *text = ::dlerror();
    return text ? text : "the dynamic linker gives no reason";
  }

  const pellucid_api *api_;
};

}  // namespace pellucid

#endif /* PELLUCID_PELLUCID_CORE_HPP */
