//! A pickle as data: a stack machine that knows a fixed list of names and calls nothing.
//!
//! Source: the opcodes are those of Python's `pickletools`, protocols 2 to 5.

use std::collections::BTreeMap;

use super::budget::Budget;
use super::element::{dtype_element, storage_element};
use super::pickle_error::PickleError;
use super::pickled::{Id, Name, Node, Pickled, Storage, TensorNode, Value, describe};
use super::strided::{MAX_RANK, Strided};

/// The longest pickle that is read; tensors are not in it.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Overhead of an allocation, in bytes.
const ALLOCATION_BYTES: usize = 32;

/// Bytes of a memo entry: a node of the map holds it, and is half full at least.
const MEMO_BYTES: usize = 2 * size_of::<(u32, Value<'_>)>() + 8;

/// The machine.
struct Unpickler<'a, 'b> {
    bytes: &'a [u8],
    /// Memory that values may take, in bytes.
    budget: &'b mut Budget,
    /// The next byte.
    at: usize,
    /// The instruction that is carried out.
    offset: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack, one per open mark.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
    nodes: Vec<Node<'a>>,
}

/// Reads a pickle.
///
/// # Errors
/// If it is cut short, refers to what is not there, or needs more than tensors, dicts and plain objects.
pub(super) fn unpickle<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Pickled<'a>, PickleError> {
    if bytes.len() > MAX_BYTES {
        return Err(PickleError::TooLong { bytes: bytes.len() });
    }
    let mut machine = Unpickler {
        bytes,
        budget,
        at: 0,
        offset: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        nodes: Vec::new(),
    };
    loop {
        machine.offset = machine.at;
        let [opcode] = machine.array()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok(Pickled { nodes: machine.nodes, root });
        }
        machine.step(opcode)?;
    }
}

impl<'a> Unpickler<'a, '_> {
    /// Makes room for more in a vector, paid for before it is taken; growing doubles, as vectors do.
    fn room<T>(&mut self, vector: impl Fn(&mut Self) -> &mut Vec<T>, more: usize) -> Result<(), PickleError> {
        let (length, capacity) = (vector(self).len(), vector(self).capacity());
        let wanted = length.saturating_add(more);
        if wanted > capacity {
            let grown = wanted.max(2 * capacity).max(4);
            self.pay(grown.saturating_mul(size_of::<T>()))?;
            vector(self).reserve_exact(grown - length);
        }
        Ok(())
    }

    /// Spends memory of the file's allowance.
    fn pay(&mut self, bytes: usize) -> Result<(), PickleError> {
        let offset = self.offset;
        self.budget.take(bytes as u64).map_err(|source| PickleError::TooMuch { source, offset })
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), PickleError> {
        self.room(|machine| &mut machine.stack, 1)?;
        self.stack.push(value);
        Ok(())
    }

    /// The values of the stack from a height on, in a vector of their own.
    fn split_off(&mut self, height: usize) -> Result<Vec<Value<'a>>, PickleError> {
        let count = self.stack.len() - height;
        self.pay(ALLOCATION_BYTES + count.saturating_mul(size_of::<Value<'_>>()))?;
        Ok(self.stack.split_off(height))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(PickleError::Truncated { offset: self.bytes.len() })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let truncated = PickleError::Truncated { offset: self.bytes.len() };
        self.take(N)?.try_into().map_err(|_| truncated)
    }

    fn byte(&mut self) -> Result<usize, PickleError> {
        Ok(usize::from(self.array::<1>()?[0]))
    }

    fn word(&mut self) -> Result<u32, PickleError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A length of 32 or 64 bits; one beyond the pickle fails when it is taken.
    fn length(&mut self, wide: bool) -> Result<usize, PickleError> {
        let length = if wide { u64::from_le_bytes(self.array()?) } else { u64::from(self.word()?) };
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn text(&mut self, length: usize) -> Result<(), PickleError> {
        let offset = self.at;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| PickleError::Text { offset })?;
        self.push(Value::Text(text))
    }

    fn opaque(&mut self, length: usize) -> Result<(), PickleError> {
        self.take(length)?;
        self.push(Value::Opaque("bytes"))
    }

    fn line(&mut self) -> Result<&'a str, PickleError> {
        let offset = self.at;
        let length = self.bytes[self.at..]
            .iter()
            .position(|&b| b == b'\n')
            .ok_or(PickleError::Truncated { offset: self.bytes.len() })?;
        let line = std::str::from_utf8(self.take(length)?).map_err(|_| PickleError::Text { offset })?;
        self.take(1)?;
        Ok(line)
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        let stack = PickleError::Stack { offset: self.offset };
        if self.stack.len() <= self.floor() {
            return Err(stack);
        }
        self.stack.pop().ok_or(stack)
    }

    fn top(&self) -> Result<Value<'a>, PickleError> {
        let stack = PickleError::Stack { offset: self.offset };
        if self.stack.len() <= self.floor() {
            return Err(stack);
        }
        self.stack.last().copied().ok_or(stack)
    }

    /// The values above the last mark, which is taken away.
    fn marked(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        let height = self.marks.pop().ok_or(PickleError::Stack { offset: self.offset })?;
        self.split_off(height)
    }

    fn node(&mut self, node: Node<'a>) -> Result<Id, PickleError> {
        self.room(|machine| &mut machine.nodes, 1)?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn tuple(&mut self, count: usize) -> Result<(), PickleError> {
        if self.stack.len() < self.floor() + count {
            return Err(PickleError::Stack { offset: self.offset });
        }
        let values = if count == 0 { Vec::new() } else { self.split_off(self.stack.len() - count)? };
        let id = self.node(Node::Values(values))?;
        self.push(Value::Tuple(id))
    }

    fn operand(&self, wanted: &'static str, found: Value<'a>) -> PickleError {
        PickleError::Operand { wanted, found: describe(&self.nodes, found), offset: self.offset }
    }

    fn remember(&mut self, index: u32) -> Result<(), PickleError> {
        let top = self.top()?;
        self.pay(MEMO_BYTES)?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PickleError> {
        let value = *self.memo.get(&index).ok_or(PickleError::Memo { index, offset: self.offset })?;
        self.push(value)
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            0x80 => {
                let [version] = self.array()?;
                if !(2..=5).contains(&version) {
                    return Err(PickleError::Protocol { version });
                }
            }
            0x95 => {
                self.array::<8>()?;
            }
            b'(' => {
                self.room(|machine| &mut machine.marks, 1)?;
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.marked()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push(top)?;
            }
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Bool)?,
            b'K' | b'M' | b'J' | 0x8a | 0x8b => self.integer(opcode)?,
            b'G' => {
                self.array::<8>()?;
                self.push(Value::Opaque("a float"))?;
            }
            b'X' | 0x8d => {
                let length = self.length(opcode == 0x8d)?;
                self.text(length)?;
            }
            0x8c => {
                let length = self.byte()?;
                self.text(length)?;
            }
            b'C' | b'U' => {
                let length = self.byte()?;
                self.opaque(length)?;
            }
            b'B' | b'T' | 0x8e | 0x96 => {
                let length = self.length(opcode >= 0x80)?;
                self.opaque(length)?;
            }
            b')' => self.tuple(0)?,
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?,
            b't' => {
                let values = self.marked()?;
                let id = self.node(Node::Values(values))?;
                self.push(Value::Tuple(id))?;
            }
            b']' | 0x8f => {
                let id = self.node(Node::Values(Vec::new()))?;
                self.push(Value::List(id))?;
            }
            0x91 => {
                let values = self.marked()?;
                let id = self.node(Node::Values(values))?;
                self.push(Value::List(id))?;
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' | 0x90 => {
                let values = self.marked()?;
                self.append(values)?;
            }
            b'}' => self.push_dict()?,
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[key, value])?;
            }
            b'u' => {
                let values = self.marked()?;
                self.insert(&values)?;
            }
            b'c' | 0x93 => self.global(opcode == b'c')?,
            b'R' => self.reduce()?,
            0x81 | 0x92 => self.instantiate(opcode == 0x92)?,
            b'b' => self.build()?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(opcode)?,
            b'Q' => self.persistent()?,
            _ => return Err(PickleError::Opcode { opcode, offset: self.offset }),
        }
        Ok(())
    }

    /// The instructions that keep a value under a number, and those that bring it back.
    fn memory(&mut self, opcode: u8) -> Result<(), PickleError> {
        let index = match opcode {
            b'q' | b'h' => self.byte()? as u32,
            0x94 => self.memo.len() as u32,
            _ => self.word()?,
        };
        if matches!(opcode, b'h' | b'j') { self.recall(index) } else { self.remember(index) }
    }

    fn integer(&mut self, opcode: u8) -> Result<(), PickleError> {
        let value = match opcode {
            b'K' => self.byte()? as i64,
            b'M' => i64::from(u16::from_le_bytes(self.array()?)),
            b'J' => i64::from(i32::from_le_bytes(self.array()?)),
            _ => {
                let length = if opcode == 0x8a { self.byte()? } else { self.length(false)? };
                let bytes = self.take(length)?;
                if length > 8 {
                    return self.push(Value::Opaque("an integer of more than 64 bits"));
                }
                let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
                let mut word = [if negative { 0xff } else { 0 }; 8];
                word[..length].copy_from_slice(bytes);
                i64::from_le_bytes(word)
            }
        };
        self.push(Value::Int(value))
    }

    fn push_dict(&mut self) -> Result<(), PickleError> {
        let id = self.node(Node::Pairs(Vec::new()))?;
        self.push(Value::Dict(id))
    }

    fn append(&mut self, values: Vec<Value<'a>>) -> Result<(), PickleError> {
        let top = self.top()?;
        match top {
            Value::List(id) => {
                self.pay(ALLOCATION_BYTES + 2 * values.len() * size_of::<Value<'_>>())?;
                if let Some(Node::Values(list)) = self.nodes.get_mut(id) {
                    list.extend(values);
                }
                Ok(())
            }
            Value::Instance(_) => Ok(()),
            _ => Err(self.operand("a list", top)),
        }
    }

    fn insert(&mut self, values: &[Value<'a>]) -> Result<(), PickleError> {
        let top = self.top()?;
        let (pairs, odd) = values.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(PickleError::Stack { offset: self.offset });
        }
        match top {
            Value::Dict(id) => {
                self.pay(ALLOCATION_BYTES + 2 * size_of_val(pairs))?;
                if let Some(Node::Pairs(dict)) = self.nodes.get_mut(id) {
                    dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                }
                Ok(())
            }
            Value::Instance(_) => Ok(()),
            _ => Err(self.operand("a dict", top)),
        }
    }

    fn global(&mut self, lines: bool) -> Result<(), PickleError> {
        let name = if lines {
            Name { module: self.line()?, name: self.line()? }
        } else {
            match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Name { module, name },
                (_, other) => return Err(self.operand("the text of a global", other)),
            }
        };
        let id = self.node(Node::Global(name))?;
        self.push(Value::Global(id))
    }

    fn name(&self, value: Value<'a>) -> Result<Name<'a>, PickleError> {
        match value {
            Value::Global(id) => match self.nodes.get(id) {
                Some(Node::Global(name)) => Ok(*name),
                _ => Err(self.operand("a global", value)),
            },
            _ => Err(self.operand("a global", value)),
        }
    }

    /// The first values of a tuple, more than any known call takes.
    fn arguments(&self, value: Value<'a>) -> Result<Vec<Value<'a>>, PickleError> {
        let Value::Tuple(id) = value else { return Err(self.operand("a tuple", value)) };
        let Some(Node::Values(values)) = self.nodes.get(id) else { return Ok(Vec::new()) };
        Ok(values.iter().take(9).copied().collect())
    }

    /// What a known call stands for; nothing is called.
    fn reduce(&mut self) -> Result<(), PickleError> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let name = self.name(callable)?;
        let given = self.arguments(arguments)?;
        let value = match (name.module, name.name, given.as_slice()) {
            ("collections", "OrderedDict", []) => {
                return self.push_dict();
            }
            ("__builtin__" | "builtins", "set" | "frozenset", [list @ Value::List(_)]) => *list,
            ("torch", "Size", [sizes @ Value::Tuple(_)]) => *sizes,
            ("torch", "device", _) => Value::Opaque("a device"),
            ("_codecs", "encode", _) => Value::Opaque("bytes"),
            ("numpy", "dtype", _) => Value::Opaque("a numpy dtype"),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct" | "scalar", _) => {
                Value::Opaque("a numpy array")
            }
            (
                "torch._utils",
                "_rebuild_parameter" | "_rebuild_parameter_with_state",
                [tensor @ Value::Tensor(_), ..],
            ) => *tensor,
            ("torch._utils", "_rebuild_tensor", [storage, view @ ..]) => {
                self.tensor(*storage, None, view, Value::None)?
            }
            ("torch._utils", "_rebuild_tensor_v2", [storage, offset, size, stride, _, _, metadata @ ..]) => {
                let metadata = metadata.first().copied().unwrap_or(Value::None);
                self.tensor(*storage, None, &[*offset, *size, *stride], metadata)?
            }
            (
                "torch._utils",
                "_rebuild_tensor_v3",
                [storage, offset, size, stride, _, _, dtype, metadata @ ..],
            ) => {
                let metadata = metadata.first().copied().unwrap_or(Value::None);
                self.tensor(*storage, Some(*dtype), &[*offset, *size, *stride], metadata)?
            }
            _ => return Err(PickleError::Refused { name: name.to_string(), offset: self.offset }),
        };
        self.push(value)
    }

    /// A tensor of a storage, a format of its own or the storage's, and offset, size and stride.
    fn tensor(
        &mut self,
        storage: Value<'a>,
        dtype: Option<Value<'a>>,
        view: &[Value<'a>],
        metadata: Value<'a>,
    ) -> Result<Value<'a>, PickleError> {
        let element = match storage {
            Value::Storage(id) => match self.nodes.get(id) {
                Some(Node::Storage(storage)) => storage.element,
                _ => None,
            },
            _ => return Err(self.operand("a storage", storage)),
        };
        let element = match dtype {
            None => element.ok_or_else(|| self.operand("a storage with a number format", storage))?,
            Some(dtype) => {
                let name = self.name(dtype)?;
                dtype_element(name.module, name.name)
                    .ok_or_else(|| self.operand("a number format that is read", dtype))?
            }
        };
        let plain = match metadata {
            Value::None => true,
            Value::Dict(id) => matches!(self.nodes.get(id), Some(Node::Pairs(pairs)) if pairs.is_empty()),
            _ => false,
        };
        if !plain {
            return Err(self.operand("a tensor without lazy negation or conjugation", metadata));
        }
        let (Value::Storage(id), &[offset, size, stride]) = (storage, view) else {
            return Err(self.operand("offset, size and stride", storage));
        };
        let (shape, strides) = (self.extents(size)?, self.extents(stride)?);
        self.pay(2 * (ALLOCATION_BYTES + size_of_val(&shape[..])))?;
        if shape.len() != strides.len() {
            return Err(self.operand("as many strides as dimensions", stride));
        }
        let view = Strided { offset: self.extent(offset)?, shape, strides };
        let node = self.node(Node::Tensor(TensorNode { storage: id, element, view }))?;
        Ok(Value::Tensor(node))
    }

    fn extent(&self, value: Value<'a>) -> Result<usize, PickleError> {
        match value {
            Value::Int(i) => usize::try_from(i)
                .map_err(|_| self.operand("an offset, extent or stride of at least 0", value)),
            _ => Err(self.operand("an integer", value)),
        }
    }

    fn extents(&self, value: Value<'a>) -> Result<Vec<usize>, PickleError> {
        let Value::Tuple(id) = value else { return Err(self.operand("a tuple", value)) };
        let Some(Node::Values(values)) = self.nodes.get(id) else { return Ok(Vec::new()) };
        if values.len() > MAX_RANK {
            return Err(self.operand("at most 64 dimensions", value));
        }
        values.iter().map(|&extent| self.extent(extent)).collect()
    }

    /// An object of a class that is only named.
    fn instantiate(&mut self, keywords: bool) -> Result<(), PickleError> {
        if keywords {
            self.pop()?;
        }
        self.pop()?;
        let class = self.pop()?;
        let class = self.name(class)?;
        let id = self.node(Node::Instance { class, state: None })?;
        self.push(Value::Instance(id))
    }

    /// The attributes of an object; those of dicts and arrays are read over.
    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        let top = self.top()?;
        match top {
            Value::Dict(_) | Value::Opaque(_) => return Ok(()),
            Value::Instance(_) => {}
            _ => return Err(self.operand("an object", top)),
        }
        let attributes = match state {
            Value::Tuple(id) => match self.nodes.get(id) {
                Some(Node::Values(values)) => values.first().copied().unwrap_or(Value::None),
                _ => Value::None,
            },
            other => other,
        };
        if let (Value::Instance(id), Value::Dict(attributes)) = (top, attributes) {
            match self.nodes.get_mut(id) {
                Some(Node::Instance { state: state @ None, .. }) => *state = Some(attributes),
                _ => return Err(self.operand("an object without attributes so far", top)),
            }
        }
        Ok(())
    }

    /// A storage: `("storage", class, key, device, count)`.
    fn persistent(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        let parts = self.arguments(id)?;
        let &[Value::Text("storage"), class, Value::Text(key), Value::Text(_), Value::Int(count)] =
            parts.as_slice()
        else {
            return Err(self.operand("the five parts of a storage", id));
        };
        let name = self.name(class)?;
        let element = storage_element(name.module, name.name);
        if element.is_none() && (name.module, name.name) != ("torch.storage", "UntypedStorage") {
            return Err(self.operand("a storage of plain numbers", class));
        }
        let count =
            u64::try_from(count).map_err(|_| self.operand("a count of at least 0", Value::Int(count)))?;
        let node = self.node(Node::Storage(Storage { key, element, count }))?;
        self.push(Value::Storage(node))
    }
}
