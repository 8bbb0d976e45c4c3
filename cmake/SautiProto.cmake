# sauti_proto(TARGET FILE...): generated C for .proto files, built and never committed.
find_program(PROTOC_C protoc-c REQUIRED)
function(sauti_proto target)
	set(out ${CMAKE_BINARY_DIR}/gen)
	file(MAKE_DIRECTORY ${out}/proto)
	set(generated)
	foreach(file ${ARGN})
		get_filename_component(stem ${file} NAME_WE)
		add_custom_command(
			OUTPUT ${out}/proto/${stem}.pb-c.c ${out}/proto/${stem}.pb-c.h
			COMMAND ${PROTOC_C} -I${SAUTI_ROOT} --c_out=${out}
				${SAUTI_ROOT}/proto/${file}
			DEPENDS ${SAUTI_ROOT}/proto/${file}
			VERBATIM)
		list(APPEND generated ${out}/proto/${stem}.pb-c.c)
	endforeach()
	add_library(${target} STATIC ${generated})
	target_include_directories(${target} SYSTEM PUBLIC ${out})
	target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUFC)
	target_compile_options(${target} PRIVATE -fPIE)
endfunction()
