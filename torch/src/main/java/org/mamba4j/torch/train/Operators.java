package org.mamba4j.torch.train;

import java.util.List;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Type;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;

/**
 * libtorch's operators on lists of tensors. They have no Java method, because their names begin with an underscore, so
 * they are called as the dispatcher calls them: arguments pushed on a stack, which then holds the results.
 */
final class Operators {
    private static final OperatorHandle FUSED_ADAMW = find("aten::_fused_adamw_", "");
    private static final OperatorHandle NORM = find("aten::_foreach_norm", "Scalar");
    private static final OperatorHandle SCALE = find("aten::_foreach_mul_", "Scalar");
    private static final OperatorHandle ZERO = find("aten::_foreach_zero_", "");
    private static final Type.TypePtr TENSOR = tensorType();

    private Operators() {}

    private static OperatorHandle find(String name, String overload) {
        try (TensorScope scope = new TensorScope()) {
            return scope.release(Dispatcher.singleton().findSchemaOrThrow(name, overload));
        }
    }

    private static Type.TypePtr tensorType() {
        try (TensorScope scope = new TensorScope()) {
            return scope.release(new Type.TypePtr(TensorType.get()));
        }
    }

    /** A list to be given to the operators any number of times; it belongs to the caller's scope. */
    static IValue list(List<Tensor> tensors) {
        GenericList list = new GenericList(TENSOR);
        for (Tensor tensor : tensors) {
            list.push_back(new IValue(tensor));
        }
        return new IValue(list);
    }

    /** Fills all with zeros. */
    static void zero(IValue tensors) {
        TensorScope.run(() -> call(ZERO, tensors));
    }

    /** Multiplies all by one number. */
    static void scale(IValue tensors, double factor) {
        TensorScope.run(() -> call(SCALE, tensors, new IValue(new Scalar(factor))));
    }

    /** The Euclidean norm of all values of all tensors. */
    static double norm(IValue tensors) {
        return TensorScope.call(() -> {
            IValueVector stack = call(NORM, tensors, new IValue(new Scalar(2.0)), new IValue());
            GenericList norms = stack.get(0).toList();
            TensorVector each = new TensorVector();
            for (long i = 0; i < norms.size(); i++) {
                each.push_back(norms.get(i).toTensor());
            }
            // Summed in double: a run with an infinite norm in one tensor must not look like one with a large norm.
            return torch.stack(each).to(ScalarType.Double).norm().item_double();
        });
    }

    /**
     * One step of AdamW on all tensors of a group at once.
     *
     * @param lists parameters, gradients, means, means of squares, an empty list, step counters (one element float32
     *     each, this step counted)
     */
    static void adamW(List<IValue> lists, double rate, double weightDecay, AdamW.Settings settings) {
        TensorScope.run(() -> {
            IValue[] arguments = new IValue[15];
            for (int i = 0; i < 6; i++) {
                arguments[i] = lists.get(i);
            }
            arguments[6] = new IValue(rate);
            arguments[7] = new IValue(settings.beta1());
            arguments[8] = new IValue(settings.beta2());
            arguments[9] = new IValue(weightDecay);
            arguments[10] = new IValue(settings.eps());
            arguments[11] = new IValue(false); // amsgrad
            arguments[12] = new IValue(false); // maximize
            arguments[13] = new IValue(); // no grad_scale
            arguments[14] = new IValue(); // no found_inf
            call(FUSED_ADAMW, arguments);
        });
    }

    private static IValueVector call(OperatorHandle operator, IValue... arguments) {
        IValueVector stack = new IValueVector();
        for (IValue argument : arguments) {
            stack.push_back(argument);
        }
        operator.callBoxed(stack);
        return stack;
    }
}
