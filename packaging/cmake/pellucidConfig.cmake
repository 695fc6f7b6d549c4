# find_package(pellucid) gives
#   pellucid::headers  interface library: pellucid.h, pellucid.hpp, and dlopen
#   pellucid::plugin   the plugin. Open it at run time: $<TARGET_FILE:pellucid::plugin> is its path.
#                      Linking it works too, and defines pellucid_get_api.
#   PELLUCID_PLUGIN    the same path as a variable
#   PELLUCID_MODELS    the folder of the shipped models
# Relocatable: every path follows from where this file lies.
get_filename_component(_pellucid_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(PELLUCID_PLUGIN "${_pellucid_prefix}/lib/libpellucid.so.1")
set(PELLUCID_MODELS "${_pellucid_prefix}/share/pellucid/models")

foreach(_pellucid_file "${PELLUCID_PLUGIN}" "${_pellucid_prefix}/include/pellucid/pellucid.h")
  if(NOT EXISTS "${_pellucid_file}")
    set(pellucid_FOUND FALSE)
    set(pellucid_NOT_FOUND_MESSAGE "${_pellucid_file} is missing: install pellucid again")
    return()
  endif()
endforeach()

if(NOT TARGET pellucid::headers)
  add_library(pellucid::headers INTERFACE IMPORTED)
  set_target_properties(pellucid::headers PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${_pellucid_prefix}/include"
    INTERFACE_LINK_LIBRARIES "${CMAKE_DL_LIBS}")
endif()
if(NOT TARGET pellucid::plugin)
  add_library(pellucid::plugin SHARED IMPORTED)
  set_target_properties(pellucid::plugin PROPERTIES
    IMPORTED_LOCATION "${PELLUCID_PLUGIN}"
    IMPORTED_SONAME "libpellucid.so.1"
    INTERFACE_LINK_LIBRARIES pellucid::headers)
endif()
unset(_pellucid_file)
unset(_pellucid_prefix)
