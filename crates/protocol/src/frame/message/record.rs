//! Writes the three faces of a view (read, write, name what is unknown) from one list of fields.

/// An object with known fields; the others are kept in `rest`. Tags are fields whose value the type
/// itself stands for.
macro_rules! record {
    ($(
        $(#[$doc:meta])*
        $name:ident [$($tag:literal = $value:literal),*] {
            $($(#[$field_doc:meta])* $field:ident = $key:literal: $type:ty,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct $name<'a> {
            $($(#[$field_doc])* pub $field: $type,)*
            /// The fields without a name here, in their original order.
            pub rest: Fields<'a>,
        }

        impl<'a> $name<'a> {
            #[allow(
                dead_code,
                unused_variables,
                reason = "some records have no fields, some are not part of a choice"
            )]
            pub(in crate::frame::message) fn read(mut fields: Fields<'a>, path: Path<'_>) -> Result<Self, Fault> {
                $(fields.drop($tag);)*
                $(let $field = fields.take($key, path)?;)*
                Ok(Self { $($field,)* rest: fields })
            }
        }

        impl<'a> Node<'a> for $name<'a> {
            fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
                Self::read(Fields::decode(raw, path)?, path)
            }
            fn encode(&self, out: &mut String) {
                let mut object = ObjectWriter::open(out);
                $(object.tag($tag, $value);)*
                $(object.node($key, &self.$field);)*
                self.rest.encode_into(&mut object);
                object.close();
            }
            fn unmodelled(&self, path: Path<'_>, found: &mut Vec<Unmodelled>) {
                $(self.$field.unmodelled(path.field($key), found);)*
                self.rest.unmodelled(path, found);
            }
        }
    )*};
}

/// A choice that a string field makes; unknown choices are kept whole in `Other`.
macro_rules! tagged {
    (
        $(#[$doc:meta])*
        $name:ident by $key:literal {
            $($(#[$variant_doc:meta])* $variant:ident($type:ident) = $value:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        #[allow(clippy::large_enum_variant, reason = "a view lives briefly and on its own")]
        pub enum $name<'a> {
            $($(#[$variant_doc])* $variant($type<'a>),)*
            /// One that has no name here.
            Other(Unknown<'a>),
        }

        impl<'a> $name<'a> {
            #[allow(dead_code, reason = "not every choice is part of another")]
            pub(in crate::frame::message) fn read(fields: Fields<'a>, path: Path<'_>) -> Result<Self, Fault> {
                let unknown = Unknown::read($key, fields, path)?;
                if path.is_too_deep() {
                    return Ok(Self::Other(unknown));
                }
                match unknown.name() {
                    $($value => $type::read(unknown.into_fields(), path).map(Self::$variant),)*
                    _ => Ok(Self::Other(unknown)),
                }
            }
        }

        impl<'a> Node<'a> for $name<'a> {
            fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
                Self::read(Fields::decode(raw, path)?, path)
            }
            fn encode(&self, out: &mut String) {
                match self {
                    $(Self::$variant(known) => known.encode(out),)*
                    Self::Other(unknown) => unknown.encode(out),
                }
            }
            fn unmodelled(&self, path: Path<'_>, found: &mut Vec<Unmodelled>) {
                match self {
                    $(Self::$variant(known) => known.unmodelled(path, found),)*
                    Self::Other(unknown) => unknown.unmodelled(path, found),
                }
            }
        }
    };
}

pub(super) use {record, tagged};
