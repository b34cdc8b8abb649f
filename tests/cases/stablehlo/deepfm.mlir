module @jit_deepfm attributes {jax.uses_shape_polymorphism = true, mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<200x8xf32>, %arg1: tensor<300x8xf32>, %arg2: tensor<3x8xf32>, %arg3: tensor<20x8xf32>, %arg4: tensor<200x1xf32>, %arg5: tensor<300x1xf32>, %arg6: tensor<32x32xf32>, %arg7: tensor<32xf32>, %arg8: tensor<32x16xf32>, %arg9: tensor<16xf32>, %arg10: tensor<16x1xf32>, %arg11: tensor<1xf32>, %arg12: tensor<?xi32>, %arg13: tensor<?xi32>, %arg14: tensor<?xi32>, %arg15: tensor<?xi32>) -> (tensor<?xf32> {jax.result_info = "result"}) {
    %c = stablehlo.constant dense<1> : tensor<i32>
    %0 = stablehlo.get_dimension_size %arg12, dim = 0 : (tensor<?xi32>) -> tensor<i32>
    %1 = stablehlo.get_dimension_size %arg13, dim = 0 : (tensor<?xi32>) -> tensor<i32>
    %2 = stablehlo.get_dimension_size %arg14, dim = 0 : (tensor<?xi32>) -> tensor<i32>
    %3 = stablehlo.get_dimension_size %arg15, dim = 0 : (tensor<?xi32>) -> tensor<i32>
    %4 = stablehlo.compare  GE, %0, %c,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%4, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>) -> ()
    %5 = stablehlo.compare  EQ, %1, %0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%5, %1, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
    %6 = stablehlo.compare  EQ, %2, %0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%6, %2, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
    %7 = stablehlo.compare  EQ, %3, %0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%7, %3, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
    %8 = call @_wrapped_jax_export_main(%0, %arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9, %arg10, %arg11, %arg12, %arg13, %arg14, %arg15) : (tensor<i32>, tensor<200x8xf32>, tensor<300x8xf32>, tensor<3x8xf32>, tensor<20x8xf32>, tensor<200x1xf32>, tensor<300x1xf32>, tensor<32x32xf32>, tensor<32xf32>, tensor<32x16xf32>, tensor<16xf32>, tensor<16x1xf32>, tensor<1xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?xf32>
    return %8 : tensor<?xf32>
  }
  func.func private @_wrapped_jax_export_main(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<200x8xf32>, %arg2: tensor<300x8xf32>, %arg3: tensor<3x8xf32>, %arg4: tensor<20x8xf32>, %arg5: tensor<200x1xf32>, %arg6: tensor<300x1xf32>, %arg7: tensor<32x32xf32>, %arg8: tensor<32xf32>, %arg9: tensor<32x16xf32>, %arg10: tensor<16xf32>, %arg11: tensor<16x1xf32>, %arg12: tensor<1xf32>, %arg13: tensor<?xi32>, %arg14: tensor<?xi32>, %arg15: tensor<?xi32>, %arg16: tensor<?xi32>) -> (tensor<?xf32> {jax.result_info = "result"}) {
    %c = stablehlo.constant dense<16> : tensor<1xi32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %cst_0 = stablehlo.constant dense<0.797884583> : tensor<f32>
    %cst_1 = stablehlo.constant dense<4.471500e-02> : tensor<f32>
    %c_2 = stablehlo.constant dense<32> : tensor<1xi32>
    %cst_3 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %cst_4 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %c_5 = stablehlo.constant dense<8> : tensor<1xi32>
    %c_6 = stablehlo.constant dense<20> : tensor<i32>
    %c_7 = stablehlo.constant dense<300> : tensor<i32>
    %c_8 = stablehlo.constant dense<3> : tensor<i32>
    %c_9 = stablehlo.constant dense<1> : tensor<1xi32>
    %c_10 = stablehlo.constant dense<200> : tensor<i32>
    %c_11 = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %1 = stablehlo.dynamic_broadcast_in_dim %c_11, %0, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %2 = stablehlo.compare  LT, %arg13, %1,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %3 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %4 = stablehlo.dynamic_broadcast_in_dim %c_10, %3, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %5 = stablehlo.add %arg13, %4 : tensor<?xi32>
    %6 = stablehlo.select %2, %5, %arg13 : tensor<?xi1>, tensor<?xi32>
    %7 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %8 = stablehlo.concatenate %7, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %9 = stablehlo.dynamic_broadcast_in_dim %6, %8, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %10 = "stablehlo.gather"(%arg1, %9) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 8>}> : (tensor<200x8xf32>, tensor<?x1xi32>) -> tensor<?x8xf32>
    %11 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %12 = stablehlo.dynamic_broadcast_in_dim %c_11, %11, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %13 = stablehlo.compare  LT, %arg14, %12,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %14 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %15 = stablehlo.dynamic_broadcast_in_dim %c_8, %14, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %16 = stablehlo.add %arg14, %15 : tensor<?xi32>
    %17 = stablehlo.select %13, %16, %arg14 : tensor<?xi1>, tensor<?xi32>
    %18 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %19 = stablehlo.concatenate %18, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %20 = stablehlo.dynamic_broadcast_in_dim %17, %19, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %21 = "stablehlo.gather"(%arg3, %20) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 8>}> : (tensor<3x8xf32>, tensor<?x1xi32>) -> tensor<?x8xf32>
    %22 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %23 = stablehlo.dynamic_broadcast_in_dim %c_11, %22, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %24 = stablehlo.compare  LT, %arg15, %23,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %25 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %26 = stablehlo.dynamic_broadcast_in_dim %c_7, %25, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %27 = stablehlo.add %arg15, %26 : tensor<?xi32>
    %28 = stablehlo.select %24, %27, %arg15 : tensor<?xi1>, tensor<?xi32>
    %29 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %30 = stablehlo.concatenate %29, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %31 = stablehlo.dynamic_broadcast_in_dim %28, %30, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %32 = "stablehlo.gather"(%arg2, %31) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 8>}> : (tensor<300x8xf32>, tensor<?x1xi32>) -> tensor<?x8xf32>
    %33 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %34 = stablehlo.dynamic_broadcast_in_dim %c_11, %33, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %35 = stablehlo.compare  LT, %arg16, %34,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %36 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %37 = stablehlo.dynamic_broadcast_in_dim %c_6, %36, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %38 = stablehlo.add %arg16, %37 : tensor<?xi32>
    %39 = stablehlo.select %35, %38, %arg16 : tensor<?xi1>, tensor<?xi32>
    %40 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %41 = stablehlo.concatenate %40, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %42 = stablehlo.dynamic_broadcast_in_dim %39, %41, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %43 = "stablehlo.gather"(%arg4, %42) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 8>}> : (tensor<20x8xf32>, tensor<?x1xi32>) -> tensor<?x8xf32>
    %44 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %45 = stablehlo.concatenate %44, %c_9, %c_5, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %46 = stablehlo.dynamic_broadcast_in_dim %10, %45, dims = [0, 2] : (tensor<?x8xf32>, tensor<3xi32>) -> tensor<?x1x8xf32>
    %47 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %48 = stablehlo.concatenate %47, %c_9, %c_5, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %49 = stablehlo.dynamic_broadcast_in_dim %21, %48, dims = [0, 2] : (tensor<?x8xf32>, tensor<3xi32>) -> tensor<?x1x8xf32>
    %50 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %51 = stablehlo.concatenate %50, %c_9, %c_5, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %52 = stablehlo.dynamic_broadcast_in_dim %32, %51, dims = [0, 2] : (tensor<?x8xf32>, tensor<3xi32>) -> tensor<?x1x8xf32>
    %53 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %54 = stablehlo.concatenate %53, %c_9, %c_5, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %55 = stablehlo.dynamic_broadcast_in_dim %43, %54, dims = [0, 2] : (tensor<?x8xf32>, tensor<3xi32>) -> tensor<?x1x8xf32>
    %56 = stablehlo.concatenate %46, %49, %52, %55, dim = 1 : (tensor<?x1x8xf32>, tensor<?x1x8xf32>, tensor<?x1x8xf32>, tensor<?x1x8xf32>) -> tensor<?x4x8xf32>
    %57 = stablehlo.reduce(%56 init: %cst_4) applies stablehlo.add across dimensions = [1] : (tensor<?x4x8xf32>, tensor<f32>) -> tensor<?x8xf32>
    %58 = stablehlo.multiply %57, %57 : tensor<?x8xf32>
    %59 = stablehlo.multiply %56, %56 : tensor<?x4x8xf32>
    %60 = stablehlo.reduce(%59 init: %cst_4) applies stablehlo.add across dimensions = [1] : (tensor<?x4x8xf32>, tensor<f32>) -> tensor<?x8xf32>
    %61 = stablehlo.subtract %58, %60 : tensor<?x8xf32>
    %62 = stablehlo.reduce(%61 init: %cst_4) applies stablehlo.add across dimensions = [1] : (tensor<?x8xf32>, tensor<f32>) -> tensor<?xf32>
    %63 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %64 = stablehlo.dynamic_broadcast_in_dim %cst_3, %63, dims = [] : (tensor<f32>, tensor<1xi32>) -> tensor<?xf32>
    %65 = stablehlo.multiply %64, %62 : tensor<?xf32>
    %66 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %67 = stablehlo.dynamic_broadcast_in_dim %c_11, %66, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %68 = stablehlo.compare  LT, %arg13, %67,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %69 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %70 = stablehlo.dynamic_broadcast_in_dim %c_10, %69, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %71 = stablehlo.add %arg13, %70 : tensor<?xi32>
    %72 = stablehlo.select %68, %71, %arg13 : tensor<?xi1>, tensor<?xi32>
    %73 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %74 = stablehlo.dynamic_broadcast_in_dim %c_11, %73, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %75 = stablehlo.convert %74 : tensor<?xi32>
    %76 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %77 = stablehlo.concatenate %76, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %78 = stablehlo.dynamic_broadcast_in_dim %72, %77, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %79 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %80 = stablehlo.concatenate %79, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %81 = stablehlo.dynamic_broadcast_in_dim %75, %80, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %82 = stablehlo.concatenate %78, %81, dim = 1 : (tensor<?x1xi32>, tensor<?x1xi32>) -> tensor<?x2xi32>
    %83 = "stablehlo.gather"(%arg5, %82) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [0, 1], start_index_map = [0, 1], index_vector_dim = 1>, slice_sizes = array<i64: 1, 1>}> : (tensor<200x1xf32>, tensor<?x2xi32>) -> tensor<?xf32>
    %84 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %85 = stablehlo.dynamic_broadcast_in_dim %c_11, %84, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %86 = stablehlo.compare  LT, %arg15, %85,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %87 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %88 = stablehlo.dynamic_broadcast_in_dim %c_7, %87, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %89 = stablehlo.add %arg15, %88 : tensor<?xi32>
    %90 = stablehlo.select %86, %89, %arg15 : tensor<?xi1>, tensor<?xi32>
    %91 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %92 = stablehlo.dynamic_broadcast_in_dim %c_11, %91, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %93 = stablehlo.convert %92 : tensor<?xi32>
    %94 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %95 = stablehlo.concatenate %94, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %96 = stablehlo.dynamic_broadcast_in_dim %90, %95, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %97 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %98 = stablehlo.concatenate %97, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %99 = stablehlo.dynamic_broadcast_in_dim %93, %98, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %100 = stablehlo.concatenate %96, %99, dim = 1 : (tensor<?x1xi32>, tensor<?x1xi32>) -> tensor<?x2xi32>
    %101 = "stablehlo.gather"(%arg6, %100) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [0, 1], start_index_map = [0, 1], index_vector_dim = 1>, slice_sizes = array<i64: 1, 1>}> : (tensor<300x1xf32>, tensor<?x2xi32>) -> tensor<?xf32>
    %102 = stablehlo.add %83, %101 : tensor<?xf32>
    %103 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %104 = stablehlo.concatenate %103, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %105 = stablehlo.dynamic_reshape %56, %104 : (tensor<?x4x8xf32>, tensor<2xi32>) -> tensor<?x32xf32>
    %106 = stablehlo.dot_general %105, %arg7, contracting_dims = [1] x [0] : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
    %107 = stablehlo.broadcast_in_dim %arg8, dims = [1] : (tensor<32xf32>) -> tensor<1x32xf32>
    %108 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %109 = stablehlo.concatenate %108, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %110 = stablehlo.dynamic_broadcast_in_dim %107, %109, dims = [0, 1] : (tensor<1x32xf32>, tensor<2xi32>) -> tensor<?x32xf32>
    %111 = stablehlo.add %106, %110 : tensor<?x32xf32>
    %112 = stablehlo.multiply %111, %111 : tensor<?x32xf32>
    %113 = stablehlo.multiply %112, %111 : tensor<?x32xf32>
    %114 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %115 = stablehlo.concatenate %114, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %116 = stablehlo.dynamic_broadcast_in_dim %cst_1, %115, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x32xf32>
    %117 = stablehlo.multiply %116, %113 : tensor<?x32xf32>
    %118 = stablehlo.add %111, %117 : tensor<?x32xf32>
    %119 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %120 = stablehlo.concatenate %119, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %121 = stablehlo.dynamic_broadcast_in_dim %cst_0, %120, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x32xf32>
    %122 = stablehlo.multiply %121, %118 : tensor<?x32xf32>
    %123 = stablehlo.tanh %122 : tensor<?x32xf32>
    %124 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %125 = stablehlo.concatenate %124, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %126 = stablehlo.dynamic_broadcast_in_dim %cst, %125, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x32xf32>
    %127 = stablehlo.add %126, %123 : tensor<?x32xf32>
    %128 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %129 = stablehlo.concatenate %128, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %130 = stablehlo.dynamic_broadcast_in_dim %cst_3, %129, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x32xf32>
    %131 = stablehlo.multiply %130, %127 : tensor<?x32xf32>
    %132 = stablehlo.multiply %111, %131 : tensor<?x32xf32>
    %133 = stablehlo.dot_general %132, %arg9, contracting_dims = [1] x [0] : (tensor<?x32xf32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %134 = stablehlo.broadcast_in_dim %arg10, dims = [1] : (tensor<16xf32>) -> tensor<1x16xf32>
    %135 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %136 = stablehlo.concatenate %135, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %137 = stablehlo.dynamic_broadcast_in_dim %134, %136, dims = [0, 1] : (tensor<1x16xf32>, tensor<2xi32>) -> tensor<?x16xf32>
    %138 = stablehlo.add %133, %137 : tensor<?x16xf32>
    %139 = stablehlo.multiply %138, %138 : tensor<?x16xf32>
    %140 = stablehlo.multiply %139, %138 : tensor<?x16xf32>
    %141 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %142 = stablehlo.concatenate %141, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %143 = stablehlo.dynamic_broadcast_in_dim %cst_1, %142, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x16xf32>
    %144 = stablehlo.multiply %143, %140 : tensor<?x16xf32>
    %145 = stablehlo.add %138, %144 : tensor<?x16xf32>
    %146 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %147 = stablehlo.concatenate %146, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %148 = stablehlo.dynamic_broadcast_in_dim %cst_0, %147, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x16xf32>
    %149 = stablehlo.multiply %148, %145 : tensor<?x16xf32>
    %150 = stablehlo.tanh %149 : tensor<?x16xf32>
    %151 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %152 = stablehlo.concatenate %151, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %153 = stablehlo.dynamic_broadcast_in_dim %cst, %152, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x16xf32>
    %154 = stablehlo.add %153, %150 : tensor<?x16xf32>
    %155 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %156 = stablehlo.concatenate %155, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %157 = stablehlo.dynamic_broadcast_in_dim %cst_3, %156, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x16xf32>
    %158 = stablehlo.multiply %157, %154 : tensor<?x16xf32>
    %159 = stablehlo.multiply %138, %158 : tensor<?x16xf32>
    %160 = stablehlo.dot_general %159, %arg11, contracting_dims = [1] x [0] : (tensor<?x16xf32>, tensor<16x1xf32>) -> tensor<?x1xf32>
    %161 = stablehlo.broadcast_in_dim %arg12, dims = [1] : (tensor<1xf32>) -> tensor<1x1xf32>
    %162 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %163 = stablehlo.concatenate %162, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %164 = stablehlo.dynamic_broadcast_in_dim %161, %163, dims = [0, 1] : (tensor<1x1xf32>, tensor<2xi32>) -> tensor<?x1xf32>
    %165 = stablehlo.add %160, %164 : tensor<?x1xf32>
    %166 = stablehlo.add %65, %102 : tensor<?xf32>
    %167 = stablehlo.broadcast_in_dim %c_11, dims = [] : (tensor<i32>) -> tensor<1xi32>
    %168 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %169 = stablehlo.concatenate %168, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %170 = "stablehlo.dynamic_gather"(%165, %167, %169) <{dimension_numbers = #stablehlo.gather<offset_dims = [0], collapsed_slice_dims = [1], start_index_map = [1]>, indices_are_sorted = true}> : (tensor<?x1xf32>, tensor<1xi32>, tensor<2xi32>) -> tensor<?xf32>
    %171 = stablehlo.add %166, %170 : tensor<?xf32>
    %172 = stablehlo.negate %171 : tensor<?xf32>
    %173 = stablehlo.exponential %172 : tensor<?xf32>
    %174 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %175 = stablehlo.dynamic_broadcast_in_dim %cst, %174, dims = [] : (tensor<f32>, tensor<1xi32>) -> tensor<?xf32>
    %176 = stablehlo.add %175, %173 : tensor<?xf32>
    %177 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %178 = stablehlo.dynamic_broadcast_in_dim %cst, %177, dims = [] : (tensor<f32>, tensor<1xi32>) -> tensor<?xf32>
    %179 = stablehlo.divide %178, %176 : tensor<?xf32>
    return %179 : tensor<?xf32>
  }
}
