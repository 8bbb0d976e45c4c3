get_filename_component(SAUTI_ROOT ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)

# sauti_flags: the warnings and the hardening of every target, in one interface target.
add_library(sauti_flags INTERFACE)
target_include_directories(sauti_flags INTERFACE ${SAUTI_ROOT})
target_compile_definitions(sauti_flags INTERFACE _GNU_SOURCE SAUTI_VERSION="${PROJECT_VERSION}")
target_compile_options(sauti_flags INTERFACE
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
	-Wundef -Wpointer-arith -Wno-unused-parameter
	-fstack-protector-strong -fno-common -fPIE)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	target_compile_options(sauti_flags INTERFACE -fstack-clash-protection)
endif()
if(SAUTI_WERROR)
	target_compile_options(sauti_flags INTERFACE -Werror)
endif()
target_link_options(sauti_flags INTERFACE -pie -Wl,-z,relro,-z,now)
# Assertions stay on in release builds (STYLE 10).
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT CMAKE_C_FLAGS MATCHES "sanitize")
	target_compile_definitions(sauti_flags INTERFACE _FORTIFY_SOURCE=2)
endif()

# sauti_library(NAME SOURCES... LINK ...): the static library of one floor.
function(sauti_library name)
	cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
	add_library(${name} STATIC ${ARG_SOURCES})
	target_link_libraries(${name} PUBLIC sauti_flags ${ARG_LINK})
endfunction()

# sauti_test(NAME LABEL SOURCES... LINK ...): a cmocka program run by ctest.
function(sauti_test name label)
	cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK" ${ARGN})
	add_executable(${name} ${ARG_SOURCES})
	target_link_libraries(${name} PRIVATE sauti_flags ${ARG_LINK} PkgConfig::CMOCKA)
	target_compile_definitions(${name} PRIVATE SAUTI_SOURCE_DIR="${SAUTI_ROOT}")
	add_test(NAME ${name} COMMAND ${name})
	if(NOT ARG_TIMEOUT)
		set(ARG_TIMEOUT 300)
	endif()
	set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${ARG_TIMEOUT}
		SKIP_RETURN_CODE 77)
endfunction()
