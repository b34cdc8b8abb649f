module @jit_triu_indices attributes {jax.uses_shape_polymorphism = true, mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x8xf32>, %arg1: tensor<8xf32>, %arg2: tensor<256x8xf32>, %arg3: tensor<14x16xf32>, %arg4: tensor<16xf32>, %arg5: tensor<16x1xf32>, %arg6: tensor<1xf32>, %arg7: tensor<?xf32>, %arg8: tensor<?xi32>, %arg9: tensor<?xf32>, %arg10: tensor<?xi32>) -> (tensor<?xf32> {jax.result_info = "result"}) {
    %c = stablehlo.constant dense<1> : tensor<i32>
    %0 = stablehlo.get_dimension_size %arg7, dim = 0 : (tensor<?xf32>) -> tensor<i32>
    %1 = stablehlo.get_dimension_size %arg8, dim = 0 : (tensor<?xi32>) -> tensor<i32>
    %2 = stablehlo.get_dimension_size %arg9, dim = 0 : (tensor<?xf32>) -> tensor<i32>
    %3 = stablehlo.get_dimension_size %arg10, dim = 0 : (tensor<?xi32>) -> tensor<i32>
    %4 = stablehlo.compare  GE, %0, %c,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%4, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>) -> ()
    %5 = stablehlo.compare  EQ, %1, %0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%5, %1, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
    %6 = stablehlo.compare  EQ, %2, %0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%6, %2, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
    %7 = stablehlo.compare  EQ, %3, %0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%7, %3, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
    %8 = call @_wrapped_jax_export_main(%0, %arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9, %arg10) : (tensor<i32>, tensor<2x8xf32>, tensor<8xf32>, tensor<256x8xf32>, tensor<14x16xf32>, tensor<16xf32>, tensor<16x1xf32>, tensor<1xf32>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xi32>) -> tensor<?xf32>
    return %8 : tensor<?xf32>
  }
  func.func private @_wrapped_jax_export_main(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<2x8xf32>, %arg2: tensor<8xf32>, %arg3: tensor<256x8xf32>, %arg4: tensor<14x16xf32>, %arg5: tensor<16xf32>, %arg6: tensor<16x1xf32>, %arg7: tensor<1xf32>, %arg8: tensor<?xf32>, %arg9: tensor<?xi32>, %arg10: tensor<?xf32>, %arg11: tensor<?xi32>) -> (tensor<?xf32> {jax.result_info = "result"}) {
    %c = stablehlo.constant dense<16> : tensor<1xi32>
    %c_0 = stablehlo.constant dense<3> : tensor<i32>
    %c_1 = stablehlo.constant dense<6> : tensor<i32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %cst_2 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %c_3 = stablehlo.constant dense<2> : tensor<1xi32>
    %c_4 = stablehlo.constant dense<0> : tensor<i32>
    %c_5 = stablehlo.constant dense<2> : tensor<i32>
    %c_6 = stablehlo.constant dense<256> : tensor<i32>
    %c_7 = stablehlo.constant dense<200> : tensor<i32>
    %c_8 = stablehlo.constant dense<8> : tensor<1xi32>
    %c_9 = stablehlo.constant dense<1> : tensor<1xi32>
    %c_10 = stablehlo.constant dense<1> : tensor<i32>
    %0 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %1 = stablehlo.concatenate %0, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %2 = stablehlo.dynamic_broadcast_in_dim %arg8, %1, dims = [0] : (tensor<?xf32>, tensor<2xi32>) -> tensor<?x1xf32>
    %3 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %4 = stablehlo.concatenate %3, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %5 = stablehlo.dynamic_broadcast_in_dim %arg10, %4, dims = [0] : (tensor<?xf32>, tensor<2xi32>) -> tensor<?x1xf32>
    %6 = stablehlo.concatenate %2, %5, dim = 1 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
    %7 = stablehlo.dot_general %6, %arg1, contracting_dims = [1] x [0] : (tensor<?x2xf32>, tensor<2x8xf32>) -> tensor<?x8xf32>
    %8 = stablehlo.reshape %arg2 : (tensor<8xf32>) -> tensor<1x8xf32>
    %9 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %10 = stablehlo.concatenate %9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %11 = stablehlo.dynamic_broadcast_in_dim %8, %10, dims = [0, 1] : (tensor<1x8xf32>, tensor<2xi32>) -> tensor<?x8xf32>
    %12 = stablehlo.add %7, %11 : tensor<?x8xf32>
    %13 = call @relu(%arg0, %12) : (tensor<i32>, tensor<?x8xf32>) -> tensor<?x8xf32>
    %14 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %15 = stablehlo.dynamic_broadcast_in_dim %c_7, %14, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %16 = stablehlo.add %arg9, %15 : tensor<?xi32>
    %17 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %18 = stablehlo.concatenate %17, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %19 = stablehlo.dynamic_broadcast_in_dim %arg11, %18, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %20 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %21 = stablehlo.concatenate %20, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %22 = stablehlo.dynamic_broadcast_in_dim %16, %21, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %23 = stablehlo.concatenate %19, %22, dim = 1 : (tensor<?x1xi32>, tensor<?x1xi32>) -> tensor<?x2xi32>
    %24 = call @remainder(%arg0, %23, %c_6) : (tensor<i32>, tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi32>
    %25 = stablehlo.convert %arg0 : tensor<i32>
    %26 = stablehlo.multiply %25, %c_5 : tensor<i32>
    %27 = stablehlo.reshape %26 : (tensor<i32>) -> tensor<1xi32>
    %28 = stablehlo.dynamic_reshape %24, %27 : (tensor<?x2xi32>, tensor<1xi32>) -> tensor<?xi32>
    %29 = stablehlo.convert %arg0 : tensor<i32>
    %30 = stablehlo.multiply %29, %c_5 : tensor<i32>
    %31 = stablehlo.reshape %30 : (tensor<i32>) -> tensor<1xi32>
    %32 = stablehlo.dynamic_broadcast_in_dim %c_4, %31, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %33 = stablehlo.compare  LT, %28, %32,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %34 = stablehlo.convert %arg0 : tensor<i32>
    %35 = stablehlo.multiply %34, %c_5 : tensor<i32>
    %36 = stablehlo.reshape %35 : (tensor<i32>) -> tensor<1xi32>
    %37 = stablehlo.dynamic_broadcast_in_dim %c_6, %36, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %38 = stablehlo.add %28, %37 : tensor<?xi32>
    %39 = stablehlo.select %33, %38, %28 : tensor<?xi1>, tensor<?xi32>
    %40 = stablehlo.convert %arg0 : tensor<i32>
    %41 = stablehlo.multiply %40, %c_5 : tensor<i32>
    %42 = stablehlo.reshape %41 : (tensor<i32>) -> tensor<1xi32>
    %43 = stablehlo.concatenate %42, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %44 = stablehlo.dynamic_broadcast_in_dim %39, %43, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %45 = "stablehlo.gather"(%arg3, %44) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 8>}> : (tensor<256x8xf32>, tensor<?x1xi32>) -> tensor<?x8xf32>
    %46 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %47 = stablehlo.concatenate %46, %c_3, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %48 = stablehlo.dynamic_reshape %45, %47 : (tensor<?x8xf32>, tensor<3xi32>) -> tensor<?x2x8xf32>
    %49 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %50 = stablehlo.concatenate %49, %c_9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %51 = stablehlo.dynamic_broadcast_in_dim %13, %50, dims = [0, 2] : (tensor<?x8xf32>, tensor<3xi32>) -> tensor<?x1x8xf32>
    %52 = stablehlo.concatenate %51, %48, dim = 1 : (tensor<?x1x8xf32>, tensor<?x2x8xf32>) -> tensor<?x3x8xf32>
    %53 = stablehlo.dot_general %52, %52, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<?x3x8xf32>, tensor<?x3x8xf32>) -> tensor<?x3x3xf32>
    %54 = stablehlo.broadcast_in_dim %cst_2, dims = [] : (tensor<f32>) -> tensor<3x3xf32>
    %55 = call @triu(%arg0, %54) : (tensor<i32>, tensor<3x3xf32>) -> tensor<3x3xf32>
    %56 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<3x3xf32>
    %57 = stablehlo.compare  NE, %55, %56,  FLOAT : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xi1>
    %58 = call @cumsum(%arg0, %57) : (tensor<i32>, tensor<3x3xi1>) -> tensor<9xi32>
    %59 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %60 = call @clip(%arg0, %58, %c_4) : (tensor<i32>, tensor<9xi32>, tensor<i32>) -> tensor<9xi32>
    %61 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %62 = stablehlo.compare  LT, %60, %61,  SIGNED : (tensor<9xi32>, tensor<9xi32>) -> tensor<9xi1>
    %63 = stablehlo.broadcast_in_dim %c_1, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %64 = stablehlo.add %60, %63 : tensor<9xi32>
    %65 = stablehlo.select %62, %64, %60 : tensor<9xi1>, tensor<9xi32>
    %66 = stablehlo.broadcast_in_dim %65, dims = [0] : (tensor<9xi32>) -> tensor<9x1xi32>
    %67 = stablehlo.broadcast_in_dim %c_10, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %68 = "stablehlo.scatter"(%59, %66, %67) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
    ^bb0(%arg12: tensor<i32>, %arg13: tensor<i32>):
      %128 = stablehlo.add %arg12, %arg13 : tensor<i32>
      stablehlo.return %128 : tensor<i32>
    }) : (tensor<6xi32>, tensor<9x1xi32>, tensor<9xi32>) -> tensor<6xi32>
    %69 = call @cumsum_1(%arg0, %68) : (tensor<i32>, tensor<6xi32>) -> tensor<6xi32>
    %70 = call @floor_divide(%arg0, %69, %c_0) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %71 = call @remainder_4(%arg0, %70, %c_0) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %72 = call @floor_divide(%arg0, %69, %c_10) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %73 = call @remainder_4(%arg0, %72, %c_0) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %74 = stablehlo.broadcast_in_dim %cst_2, dims = [] : (tensor<f32>) -> tensor<3x3xf32>
    %75 = call @triu_5(%arg0, %74) : (tensor<i32>, tensor<3x3xf32>) -> tensor<3x3xf32>
    %76 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<3x3xf32>
    %77 = stablehlo.compare  NE, %75, %76,  FLOAT : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xi1>
    %78 = call @cumsum_6(%arg0, %77) : (tensor<i32>, tensor<3x3xi1>) -> tensor<9xi32>
    %79 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %80 = call @clip_7(%arg0, %78, %c_4) : (tensor<i32>, tensor<9xi32>, tensor<i32>) -> tensor<9xi32>
    %81 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %82 = stablehlo.compare  LT, %80, %81,  SIGNED : (tensor<9xi32>, tensor<9xi32>) -> tensor<9xi1>
    %83 = stablehlo.broadcast_in_dim %c_1, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %84 = stablehlo.add %80, %83 : tensor<9xi32>
    %85 = stablehlo.select %82, %84, %80 : tensor<9xi1>, tensor<9xi32>
    %86 = stablehlo.broadcast_in_dim %85, dims = [0] : (tensor<9xi32>) -> tensor<9x1xi32>
    %87 = stablehlo.broadcast_in_dim %c_10, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %88 = "stablehlo.scatter"(%79, %86, %87) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
    ^bb0(%arg12: tensor<i32>, %arg13: tensor<i32>):
      %128 = stablehlo.add %arg12, %arg13 : tensor<i32>
      stablehlo.return %128 : tensor<i32>
    }) : (tensor<6xi32>, tensor<9x1xi32>, tensor<9xi32>) -> tensor<6xi32>
    %89 = call @cumsum_8(%arg0, %88) : (tensor<i32>, tensor<6xi32>) -> tensor<6xi32>
    %90 = call @floor_divide_9(%arg0, %89, %c_0) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %91 = call @remainder_11(%arg0, %90, %c_0) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %92 = call @floor_divide_9(%arg0, %89, %c_10) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %93 = call @remainder_11(%arg0, %92, %c_0) : (tensor<i32>, tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    %94 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %95 = stablehlo.compare  LT, %91, %94,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %96 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %97 = stablehlo.add %91, %96 : tensor<6xi32>
    %98 = stablehlo.select %95, %97, %91 : tensor<6xi1>, tensor<6xi32>
    %99 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %100 = stablehlo.compare  LT, %93, %99,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %101 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %102 = stablehlo.add %93, %101 : tensor<6xi32>
    %103 = stablehlo.select %100, %102, %93 : tensor<6xi1>, tensor<6xi32>
    %104 = stablehlo.broadcast_in_dim %98, dims = [0] : (tensor<6xi32>) -> tensor<6x1xi32>
    %105 = stablehlo.broadcast_in_dim %103, dims = [0] : (tensor<6xi32>) -> tensor<6x1xi32>
    %106 = stablehlo.concatenate %104, %105, dim = 1 : (tensor<6x1xi32>, tensor<6x1xi32>) -> tensor<6x2xi32>
    %107 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %108 = stablehlo.concatenate %107, %c_9, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %109 = "stablehlo.dynamic_gather"(%53, %106, %108) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1, 2], start_index_map = [1, 2], index_vector_dim = 1>}> : (tensor<?x3x3xf32>, tensor<6x2xi32>, tensor<3xi32>) -> tensor<?x6xf32>
    %110 = stablehlo.concatenate %13, %109, dim = 1 : (tensor<?x8xf32>, tensor<?x6xf32>) -> tensor<?x14xf32>
    %111 = stablehlo.dot_general %110, %arg4, contracting_dims = [1] x [0] : (tensor<?x14xf32>, tensor<14x16xf32>) -> tensor<?x16xf32>
    %112 = stablehlo.reshape %arg5 : (tensor<16xf32>) -> tensor<1x16xf32>
    %113 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %114 = stablehlo.concatenate %113, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %115 = stablehlo.dynamic_broadcast_in_dim %112, %114, dims = [0, 1] : (tensor<1x16xf32>, tensor<2xi32>) -> tensor<?x16xf32>
    %116 = stablehlo.add %111, %115 : tensor<?x16xf32>
    %117 = call @relu_13(%arg0, %116) : (tensor<i32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %118 = stablehlo.dot_general %117, %arg6, contracting_dims = [1] x [0] : (tensor<?x16xf32>, tensor<16x1xf32>) -> tensor<?x1xf32>
    %119 = stablehlo.reshape %arg7 : (tensor<1xf32>) -> tensor<1x1xf32>
    %120 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %121 = stablehlo.concatenate %120, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %122 = stablehlo.dynamic_broadcast_in_dim %119, %121, dims = [0, 1] : (tensor<1x1xf32>, tensor<2xi32>) -> tensor<?x1xf32>
    %123 = stablehlo.add %118, %122 : tensor<?x1xf32>
    %124 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<1xi32>
    %125 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %126 = stablehlo.concatenate %125, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %127 = "stablehlo.dynamic_gather"(%123, %124, %126) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1]>, indices_are_sorted = true}> : (tensor<?x1xf32>, tensor<1xi32>, tensor<2xi32>) -> tensor<?xf32>
    return %127 : tensor<?xf32>
  }
  func.func private @relu(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %c = stablehlo.constant dense<8> : tensor<1xi32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %1 = stablehlo.concatenate %0, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %2 = stablehlo.dynamic_broadcast_in_dim %cst, %1, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x8xf32>
    %3 = stablehlo.maximum %arg1, %2 : tensor<?x8xf32>
    return %3 : tensor<?x8xf32>
  }
  func.func private @remainder(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<?x2xi32>, %arg2: tensor<i32>) -> tensor<?x2xi32> {
    %c = stablehlo.constant dense<2> : tensor<1xi32>
    %c_0 = stablehlo.constant dense<1> : tensor<i32>
    %c_1 = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.convert %arg2 : tensor<i32>
    %1 = stablehlo.compare  EQ, %0, %c_1,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %2 = call @_where(%arg0, %1, %c_0, %0) : (tensor<i32>, tensor<i1>, tensor<i32>, tensor<i32>) -> tensor<i32>
    %3 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %4 = stablehlo.concatenate %3, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %5 = stablehlo.dynamic_broadcast_in_dim %2, %4, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x2xi32>
    %6 = stablehlo.remainder %arg1, %5 : tensor<?x2xi32>
    %7 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %8 = stablehlo.concatenate %7, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %9 = stablehlo.dynamic_broadcast_in_dim %c_1, %8, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x2xi32>
    %10 = stablehlo.compare  NE, %6, %9,  SIGNED : (tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x2xi1>
    %11 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %12 = stablehlo.concatenate %11, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %13 = stablehlo.dynamic_broadcast_in_dim %c_1, %12, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x2xi32>
    %14 = stablehlo.compare  LT, %6, %13,  SIGNED : (tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x2xi1>
    %15 = stablehlo.compare  LT, %2, %c_1,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %16 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %17 = stablehlo.concatenate %16, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %18 = stablehlo.dynamic_broadcast_in_dim %15, %17, dims = [] : (tensor<i1>, tensor<2xi32>) -> tensor<?x2xi1>
    %19 = stablehlo.compare  NE, %14, %18,  UNSIGNED : (tensor<?x2xi1>, tensor<?x2xi1>) -> tensor<?x2xi1>
    %20 = stablehlo.and %19, %10 : tensor<?x2xi1>
    %21 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %22 = stablehlo.concatenate %21, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %23 = stablehlo.dynamic_broadcast_in_dim %2, %22, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x2xi32>
    %24 = stablehlo.add %6, %23 : tensor<?x2xi32>
    %25 = stablehlo.select %20, %24, %6 : tensor<?x2xi1>, tensor<?x2xi32>
    return %25 : tensor<?x2xi32>
  }
  func.func private @_where(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<i1>, %arg2: tensor<i32>, %arg3: tensor<i32>) -> tensor<i32> {
    %0 = stablehlo.select %arg1, %arg2, %arg3 : tensor<i1>, tensor<i32>
    return %0 : tensor<i32>
  }
  func.func private @triu(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<3x3xf32>) -> tensor<3x3xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %c = stablehlo.constant dense<-1> : tensor<i32>
    %0 = stablehlo.iota dim = 0 : tensor<3x3xi32>
    %1 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %2 = stablehlo.add %0, %1 : tensor<3x3xi32>
    %3 = stablehlo.iota dim = 1 : tensor<3x3xi32>
    %4 = stablehlo.compare  GE, %2, %3,  SIGNED : (tensor<3x3xi32>, tensor<3x3xi32>) -> tensor<3x3xi1>
    %5 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<3x3xf32>
    %6 = stablehlo.select %4, %5, %arg1 : tensor<3x3xi1>, tensor<3x3xf32>
    return %6 : tensor<3x3xf32>
  }
  func.func private @cumsum(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<3x3xi1>) -> tensor<9xi32> {
    %0 = stablehlo.reshape %arg1 : (tensor<3x3xi1>) -> tensor<9xi1>
    %1 = stablehlo.convert %0 : (tensor<9xi1>) -> tensor<9xi32>
    %2 = call @cumsum_0(%arg0, %1) : (tensor<i32>, tensor<9xi32>) -> tensor<9xi32>
    return %2 : tensor<9xi32>
  }
  func.func private @cumsum_0(%arg0: tensor<i32>, %arg1: tensor<9xi32>) -> tensor<9xi32> {
    %c = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<i32>
    %1 = "stablehlo.reduce_window"(%arg1, %0) <{padding = dense<[[8, 0]]> : tensor<1x2xi64>, window_dimensions = array<i64: 9>}> ({
    ^bb0(%arg2: tensor<i32>, %arg3: tensor<i32>):
      %2 = stablehlo.add %arg2, %arg3 : tensor<i32>
      stablehlo.return %2 : tensor<i32>
    }) : (tensor<9xi32>, tensor<i32>) -> tensor<9xi32>
    return %1 : tensor<9xi32>
  }
  func.func private @clip(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<9xi32>, %arg2: tensor<i32>) -> tensor<9xi32> {
    %0 = stablehlo.convert %arg2 : tensor<i32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %2 = stablehlo.maximum %1, %arg1 : tensor<9xi32>
    return %2 : tensor<9xi32>
  }
  func.func private @cumsum_1(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi32>) -> tensor<6xi32> {
    %0 = call @cumsum_2(%arg0, %arg1) : (tensor<i32>, tensor<6xi32>) -> tensor<6xi32>
    return %0 : tensor<6xi32>
  }
  func.func private @cumsum_2(%arg0: tensor<i32>, %arg1: tensor<6xi32>) -> tensor<6xi32> {
    %c = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<i32>
    %1 = "stablehlo.reduce_window"(%arg1, %0) <{padding = dense<[[5, 0]]> : tensor<1x2xi64>, window_dimensions = array<i64: 6>}> ({
    ^bb0(%arg2: tensor<i32>, %arg3: tensor<i32>):
      %2 = stablehlo.add %arg2, %arg3 : tensor<i32>
      stablehlo.return %2 : tensor<i32>
    }) : (tensor<6xi32>, tensor<i32>) -> tensor<6xi32>
    return %1 : tensor<6xi32>
  }
  func.func private @floor_divide(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi32>, %arg2: tensor<i32>) -> tensor<6xi32> {
    %c = stablehlo.constant dense<1> : tensor<i32>
    %c_0 = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %1 = stablehlo.divide %arg1, %0 : tensor<6xi32>
    %2 = stablehlo.sign %arg1 : tensor<6xi32>
    %3 = stablehlo.sign %arg2 : tensor<i32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %5 = stablehlo.compare  NE, %2, %4,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %6 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %7 = stablehlo.remainder %arg1, %6 : tensor<6xi32>
    %8 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %9 = stablehlo.compare  NE, %7, %8,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %10 = stablehlo.and %5, %9 : tensor<6xi1>
    %11 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %12 = stablehlo.subtract %1, %11 : tensor<6xi32>
    %13 = call @_where_3(%arg0, %10, %12, %1) : (tensor<i32>, tensor<6xi1>, tensor<6xi32>, tensor<6xi32>) -> tensor<6xi32>
    return %13 : tensor<6xi32>
  }
  func.func private @_where_3(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi1>, %arg2: tensor<6xi32>, %arg3: tensor<6xi32>) -> tensor<6xi32> {
    %0 = stablehlo.select %arg1, %arg2, %arg3 : tensor<6xi1>, tensor<6xi32>
    return %0 : tensor<6xi32>
  }
  func.func private @remainder_4(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi32>, %arg2: tensor<i32>) -> tensor<6xi32> {
    %c = stablehlo.constant dense<1> : tensor<i32>
    %c_0 = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.convert %arg2 : tensor<i32>
    %1 = stablehlo.compare  EQ, %0, %c_0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %2 = call @_where(%arg0, %1, %c, %0) : (tensor<i32>, tensor<i1>, tensor<i32>, tensor<i32>) -> tensor<i32>
    %3 = stablehlo.broadcast_in_dim %2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %4 = stablehlo.remainder %arg1, %3 : tensor<6xi32>
    %5 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %6 = stablehlo.compare  NE, %4, %5,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %7 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %8 = stablehlo.compare  LT, %4, %7,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %9 = stablehlo.compare  LT, %2, %c_0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %10 = stablehlo.broadcast_in_dim %9, dims = [] : (tensor<i1>) -> tensor<6xi1>
    %11 = stablehlo.compare  NE, %8, %10,  UNSIGNED : (tensor<6xi1>, tensor<6xi1>) -> tensor<6xi1>
    %12 = stablehlo.and %11, %6 : tensor<6xi1>
    %13 = stablehlo.broadcast_in_dim %2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %14 = stablehlo.add %4, %13 : tensor<6xi32>
    %15 = stablehlo.select %12, %14, %4 : tensor<6xi1>, tensor<6xi32>
    return %15 : tensor<6xi32>
  }
  func.func private @triu_5(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<3x3xf32>) -> tensor<3x3xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %c = stablehlo.constant dense<-1> : tensor<i32>
    %0 = stablehlo.iota dim = 0 : tensor<3x3xi32>
    %1 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %2 = stablehlo.add %0, %1 : tensor<3x3xi32>
    %3 = stablehlo.iota dim = 1 : tensor<3x3xi32>
    %4 = stablehlo.compare  GE, %2, %3,  SIGNED : (tensor<3x3xi32>, tensor<3x3xi32>) -> tensor<3x3xi1>
    %5 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<3x3xf32>
    %6 = stablehlo.select %4, %5, %arg1 : tensor<3x3xi1>, tensor<3x3xf32>
    return %6 : tensor<3x3xf32>
  }
  func.func private @cumsum_6(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<3x3xi1>) -> tensor<9xi32> {
    %0 = stablehlo.reshape %arg1 : (tensor<3x3xi1>) -> tensor<9xi1>
    %1 = stablehlo.convert %0 : (tensor<9xi1>) -> tensor<9xi32>
    %2 = call @cumsum_0(%arg0, %1) : (tensor<i32>, tensor<9xi32>) -> tensor<9xi32>
    return %2 : tensor<9xi32>
  }
  func.func private @clip_7(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<9xi32>, %arg2: tensor<i32>) -> tensor<9xi32> {
    %0 = stablehlo.convert %arg2 : tensor<i32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<i32>) -> tensor<9xi32>
    %2 = stablehlo.maximum %1, %arg1 : tensor<9xi32>
    return %2 : tensor<9xi32>
  }
  func.func private @cumsum_8(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi32>) -> tensor<6xi32> {
    %0 = call @cumsum_2(%arg0, %arg1) : (tensor<i32>, tensor<6xi32>) -> tensor<6xi32>
    return %0 : tensor<6xi32>
  }
  func.func private @floor_divide_9(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi32>, %arg2: tensor<i32>) -> tensor<6xi32> {
    %c = stablehlo.constant dense<1> : tensor<i32>
    %c_0 = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %1 = stablehlo.divide %arg1, %0 : tensor<6xi32>
    %2 = stablehlo.sign %arg1 : tensor<6xi32>
    %3 = stablehlo.sign %arg2 : tensor<i32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %5 = stablehlo.compare  NE, %2, %4,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %6 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %7 = stablehlo.remainder %arg1, %6 : tensor<6xi32>
    %8 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %9 = stablehlo.compare  NE, %7, %8,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %10 = stablehlo.and %5, %9 : tensor<6xi1>
    %11 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %12 = stablehlo.subtract %1, %11 : tensor<6xi32>
    %13 = call @_where_10(%arg0, %10, %12, %1) : (tensor<i32>, tensor<6xi1>, tensor<6xi32>, tensor<6xi32>) -> tensor<6xi32>
    return %13 : tensor<6xi32>
  }
  func.func private @_where_10(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi1>, %arg2: tensor<6xi32>, %arg3: tensor<6xi32>) -> tensor<6xi32> {
    %0 = stablehlo.select %arg1, %arg2, %arg3 : tensor<6xi1>, tensor<6xi32>
    return %0 : tensor<6xi32>
  }
  func.func private @remainder_11(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<6xi32>, %arg2: tensor<i32>) -> tensor<6xi32> {
    %c = stablehlo.constant dense<1> : tensor<i32>
    %c_0 = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.convert %arg2 : tensor<i32>
    %1 = stablehlo.compare  EQ, %0, %c_0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %2 = call @_where_12(%arg0, %1, %c, %0) : (tensor<i32>, tensor<i1>, tensor<i32>, tensor<i32>) -> tensor<i32>
    %3 = stablehlo.broadcast_in_dim %2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %4 = stablehlo.remainder %arg1, %3 : tensor<6xi32>
    %5 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %6 = stablehlo.compare  NE, %4, %5,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %7 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %8 = stablehlo.compare  LT, %4, %7,  SIGNED : (tensor<6xi32>, tensor<6xi32>) -> tensor<6xi1>
    %9 = stablehlo.compare  LT, %2, %c_0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %10 = stablehlo.broadcast_in_dim %9, dims = [] : (tensor<i1>) -> tensor<6xi1>
    %11 = stablehlo.compare  NE, %8, %10,  UNSIGNED : (tensor<6xi1>, tensor<6xi1>) -> tensor<6xi1>
    %12 = stablehlo.and %11, %6 : tensor<6xi1>
    %13 = stablehlo.broadcast_in_dim %2, dims = [] : (tensor<i32>) -> tensor<6xi32>
    %14 = stablehlo.add %4, %13 : tensor<6xi32>
    %15 = stablehlo.select %12, %14, %4 : tensor<6xi1>, tensor<6xi32>
    return %15 : tensor<6xi32>
  }
  func.func private @_where_12(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<i1>, %arg2: tensor<i32>, %arg3: tensor<i32>) -> tensor<i32> {
    %0 = stablehlo.select %arg1, %arg2, %arg3 : tensor<i1>, tensor<i32>
    return %0 : tensor<i32>
  }
  func.func private @relu_13(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<?x16xf32>) -> tensor<?x16xf32> {
    %c = stablehlo.constant dense<16> : tensor<1xi32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %1 = stablehlo.concatenate %0, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %2 = stablehlo.dynamic_broadcast_in_dim %cst, %1, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x16xf32>
    %3 = stablehlo.maximum %arg1, %2 : tensor<?x16xf32>
    return %3 : tensor<?x16xf32>
  }
}

